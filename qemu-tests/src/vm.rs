//! QEMU on the image of the board under test, under TCG, reached through a forwarded port. It boots from the ROM, or
//! directly when `CPUD_BOOT=direct` is in the environment.

mod shared;

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{self, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Output, Stdio};
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use crate::artifacts::{Artifact, root, scratch};
use crate::board;
use crate::client::Client;
use crate::console::{Console, Mark};
use crate::daemon::free_port;
use crate::gdb::Gdb;
use crate::keys::{Key, authorize};
use crate::look::Process;
use crate::programs;
use crate::run::{run, spawn};
use crate::skip::Reason;

pub use shared::{Lease, OURS, Shared, alone, shared};

/// The port that the appliance listens on.
const CPU_PORT: u16 = 17010;

/// One processor under TCG shares two real ones with everything else that is tested.
const BOOT_LIMIT: Duration = Duration::from_secs(120);

/// What is booted, on which machine.
#[derive(Clone)]
pub struct Machine {
    pub kernel: PathBuf,
    pub initramfs: PathBuf,
    /// On the kernel's command line after the board's own, when it is booted directly.
    pub words: &'static str,
    /// The flash part's content, of which each machine gets a copy; None boots the kernel directly.
    pub rom: Option<PathBuf>,
    /// Whether QEMU gets that as `-bios`, memory that cannot be written, and not as a flash part.
    pub bios: bool,
    /// MiB.
    pub memory: String,
    /// Whether the processor has instructions for AES.
    pub aes: bool,
    /// QEMU's name of the network card.
    pub card: &'static str,
    /// Whether a restart is one, and not the end.
    pub restarts: bool,
    /// Further flags of QEMU's.
    pub flags: &'static [&'static str],
    /// What is at the end of the first card's cable: QEMU's -netdev with the id `net`; None: a network of QEMU's own, with
    /// a port of this host's that leads to the machine.
    pub netdev: Option<String>,
    /// The name space of this host's network that QEMU runs in, as ip(8) makes it.
    pub inside: Option<String>,
}

impl Machine {
    /// QEMU's arguments for what starts it: the image in flash, as firmware or as a drive, or a kernel directly.
    fn firmware(&self, flash: Option<&Path>) -> Vec<OsString> {
        match flash {
            Some(rom) if self.bios => vec!["-bios".into(), rom.into()],
            Some(flash) => {
                vec!["-drive".into(), format!("if=pflash,format=raw,unit=0,file={}", flash.display()).into()]
            }
            None => {
                let (kernel, initramfs) = (self.kernel.clone().into(), self.initramfs.clone().into());
                vec![
                    "-kernel".into(),
                    kernel,
                    "-initrd".into(),
                    initramfs,
                    "-append".into(),
                    format!("{} {}", board::under_test().get("cmdline"), self.words).into(),
                ]
            }
        }
    }

    /// The board's kernel and `cpud`, in an image with the tests' own keys, made by the same scripts as a user's.
    pub fn ours() -> Self {
        let direct = Self::direct();
        if env::var_os("CPUD_BOOT").is_some_and(|how| how == "direct") { direct } else { direct.in_rom("ours", &[]) }
    }

    /// The same without a ROM.
    pub fn direct() -> Self {
        static MADE: OnceLock<PathBuf> = OnceLock::new();
        Self::with(MADE.get_or_init(|| initramfs_with_keys("image", &cpud())))
    }

    /// The same with what `--nfs` puts in, from `out/BOARD-nfs/`, which `scripts/test.sh` fills.
    pub fn with_nfs() -> Self {
        static MADE: OnceLock<PathBuf> = OnceLock::new();
        let folder = root().join("out").join(format!("{}-nfs", board::under_test().name));
        let (direct, cpud) = (Self::direct(), folder.join("cpud"));
        let kernel = folder.join(direct.kernel.file_name().expect("a file"));
        assert!(kernel.exists() && cpud.exists(), "{} is not filled: scripts/test.sh does it", folder.display());
        let initramfs = MADE.get_or_init(|| initramfs_with_keys("nfs", &cpud)).clone();
        Self { kernel, initramfs, ..direct }
    }

    /// The same with the hole, from `out/BOARD-hole/`, which `scripts/test.sh` fills: no script makes an image of that.
    pub fn with_hole() -> Self {
        let direct = Self::direct();
        let made = fs::read(&direct.initramfs).expect("just made");
        let cpud = Artifact::Cpud.path(&format!("{}-hole", board::under_test().name));
        let initramfs = scratch("hole").join("initramfs");
        // The kernel unpacks one archive after the other, and a file replaces an earlier one of its name.
        fs::write(&initramfs, [made, archive("init", &fs::read(cpud).expect("it is there"))].concat()).expect("a file");
        Self { initramfs, ..direct }
    }

    /// A machine with no key built in.
    pub fn bare() -> Self {
        static MADE: OnceLock<PathBuf> = OnceLock::new();
        Self::with(MADE.get_or_init(|| initramfs("bare", &cpud(), &["--bare".as_ref()])))
    }

    fn with(initramfs: &Path) -> Self {
        let board = board::under_test();
        // Fifty sessions at once, each with the client's programs in its page cache.
        let memory = board.mebibytes("qemu_memory").max(512).to_string();
        let (kernel, initramfs) = (Artifact::Kernel.path(&board.name), initramfs.to_owned());
        Self {
            kernel,
            initramfs,
            words: "",
            rom: None,
            bios: false,
            memory,
            aes: true,
            card: "virtio-net-pci",
            restarts: false,
            flags: &[],
            netdev: None,
            inside: None,
        }
    }

    /// Put into a ROM by `build-rom.sh` with these further options.
    pub fn in_rom(self, name: &str, options: &[&str]) -> Self {
        let rom = scratch("image").join(format!("{name}.rom"));
        let made = script("build-rom.sh")
            .args(["--board", &board::under_test().name, "--kernel"])
            .arg(&self.kernel)
            .arg("--initramfs")
            .arg(&self.initramfs)
            .arg("--out")
            .arg(&rom)
            .args(options)
            .output();
        succeeded(made);
        Self { rom: Some(rom), ..self }
    }
}

/// The board's.
fn cpud() -> PathBuf {
    Artifact::Cpud.path(&board::under_test().name)
}

/// Makes one with the tests' own keys in the scratch folder `name`.
fn initramfs_with_keys(name: &str, cpud: &Path) -> PathBuf {
    let keys = scratch(name).join("authorized_keys");
    authorize(&keys);
    let host = Key::host().private;
    initramfs(name, cpud, &["--key".as_ref(), keys.as_ref(), "--host-key".as_ref(), host.as_ref()])
}

/// Makes one in the scratch folder `name`.
fn initramfs(name: &str, cpud: &Path, options: &[&OsStr]) -> PathBuf {
    let folder = scratch(name);
    let board = board::under_test();
    let mut script = script("build-initramfs.sh");
    script.args(options).args(["--arch", board.get("arch")]).arg("--cpud").arg(cpud).arg("--out").arg(&folder);
    succeeded(script.output());
    folder.join("initramfs.cpio.xz")
}

/// One executable file in the form "newc" (the kernel's driver-api/early-userspace/buffer-format.rst).
fn archive(name: &str, bytes: &[u8]) -> Vec<u8> {
    let mut all = Vec::new();
    for (mode, name, bytes) in [(0o100_755, name, bytes), (0, "TRAILER!!!", &[][..])] {
        let fields = [0, mode, 0, 0, 1, 0, bytes.len(), 0, 0, 0, 0, name.len() + 1, 0];
        all.extend_from_slice(b"070701");
        all.extend(fields.iter().flat_map(|field| format!("{field:08X}").into_bytes()));
        for part in [format!("{name}\0").as_bytes(), bytes] {
            all.extend_from_slice(part);
            all.resize(all.len().next_multiple_of(4), 0);
        }
    }
    all
}

/// One of the scripts that users call.
pub fn script(name: &str) -> Command {
    Command::new(root().join("scripts").join(name))
}

/// What it printed, after checking that it exited 0.
pub fn succeeded(made: io::Result<Output>) -> Output {
    let made = made.expect("bash runs");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    made
}

/// Kills QEMU when its own stdin ends: on drop, and also when this process dies in any other way.
const LEASH: &str = r#""$@" <&- & vm=$!; exec >&- 2>&-; read -r word; kill "$vm"; wait "$vm""#;

/// A virtual machine; ended on drop.
pub struct Vm {
    leash: Child,
    end: Option<ChildStdin>,
    pub console: Console,
    pub port: u16,
    /// QEMU's monitor listens there.
    monitor: u16,
    /// The flash part that this machine writes to.
    pub flash: Option<PathBuf>,
    /// When QEMU was started.
    pub power_on: Instant,
}

impl Vm {
    /// Switches the machine on. It has not booted yet when this returns.
    pub fn power_on(machine: &Machine) -> Self {
        let board = board::under_test();
        let (port, monitor) = (free_port(), free_port());
        let power_on = Instant::now();
        let devices = board.get("qemu_devices").split_whitespace().flat_map(|device| ["-device", device]);
        let flash = machine.rom.as_ref().map(|rom| {
            let flash = scratch("flash").join(port.to_string());
            fs::copy(rom, &flash).unwrap_or_else(|e| panic!("{}: {e}", flash.display()));
            // QEMU's flash may be larger than the board's part.
            if let Some(size) = board.find("qemu_flash").map(|_| board.mebibytes("qemu_flash") << 20) {
                let file = fs::File::options().write(true).open(&flash).expect("just made");
                file.set_len(size).expect("room for the flash part");
            }
            flash
        });
        let firmware = machine.firmware(flash.as_deref());
        let gdb = (!machine.aes && board.get("arch") == "aarch64").then(free_port);
        let cpu = if machine.aes || gdb.is_some() { "" } else { ",aes=off" };
        let forwarded = format!("user,id=net,hostfwd=tcp:127.0.0.1:{port}-:{CPU_PORT}");
        let netdev = machine.netdev.clone().unwrap_or(forwarded);
        let mut leash = spawn(
            Command::new("sh")
                .args(["-c", LEASH, "leash"])
                .args(machine.inside.iter().flat_map(|name| ["ip", "netns", "exec", name]))
                .arg(board.qemu())
                .args([
                    "-accel",
                    "tcg",
                    "-cpu",
                    &format!("{}{cpu}", board.get("qemu_cpu")),
                    "-machine",
                    board.get("qemu_machine"),
                ])
                .args(["-m", &machine.memory, "-smp", "1"])
                .args(["-nodefaults", "-no-user-config", "-display", "none", "-serial", "stdio"])
                .args(["-monitor", &format!("tcp:127.0.0.1:{monitor},server=on,wait=off")])
                .args((!machine.restarts).then_some("-no-reboot"))
                .args(machine.flags)
                .args(firmware)
                .args(gdb.iter().flat_map(|port| ["-S".to_owned(), "-gdb".into(), format!("tcp:127.0.0.1:{port}")]))
                .args(["-netdev", &netdev])
                .args(["-device", &format!("{},netdev=net,romfile=", machine.card)])
                .args(devices)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped()),
        );
        let console = Console::default();
        console.follow(leash.stdout.take().expect("piped"));
        console.follow(leash.stderr.take().expect("piped"));
        let end = leash.stdin.take();
        if let Some(port) = gdb {
            without_aes(port);
        }
        Self { leash, end, console, port, monitor, flash, power_on }
    }

    /// Switches it on and waits until it says that it is ready, and where.
    pub fn boot(machine: &Machine) -> Self {
        let vm = Self::power_on(machine);
        for words in [["cpud: ready", ""], ["listening on", "eth0"]] {
            vm.console.expect(Mark::default(), &words, BOOT_LIMIT);
        }
        vm
    }

    /// Presses the machine's power button.
    pub fn press_power_button(&self) {
        self.command("system_powerdown");
    }

    /// Pulls the cable out of the first card, or plugs it in.
    pub fn plug(&self, into: bool) {
        self.command(&format!("set_link net {}", if into { "on" } else { "off" }));
    }

    fn command(&self, line: &str) {
        let mut monitor = TcpStream::connect(("127.0.0.1", self.monitor)).expect("QEMU runs");
        writeln!(monitor, "{line}").expect("QEMU reads");
    }

    /// Waits until the machine is off. QEMU's end takes its forwarded port along.
    pub fn expect_off(&self, limit: Duration) {
        let start = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
            assert!(start.elapsed() < limit, "it still runs:\n{}", self.console.since(Mark::default()));
            thread::sleep(Duration::from_millis(100));
        }
    }

    /// The user and system time that QEMU has taken so far.
    pub fn processor_time(&self) -> Duration {
        let children = format!("/proc/{0}/task/{0}/children", self.leash.id());
        let children = fs::read_to_string(children).expect("the leash runs");
        let pid = children.split_whitespace().next().and_then(|pid| pid.parse().ok());
        let qemu = pid.and_then(Process::read).expect("QEMU runs");
        // USER_HZ, the unit of proc(5), is 100.
        Duration::from_millis(qemu.ticks * 10)
    }

    /// All processes, as a session inside sees them.
    pub fn processes(&self) -> Vec<Process> {
        parse(&self.look(&[]))
    }

    /// What the program `look` prints in a session of its own.
    pub fn look(&self, arguments: &[&str]) -> String {
        let mut client = Client::v3(self.port).unwrap_or_else(|e| panic!("{e}"));
        let program = served(&programs::look());
        let words = [&[program.as_str()], arguments].concat();
        run(client.command(&words), Duration::from_secs(60)).ok()
    }
}

impl Drop for Vm {
    fn drop(&mut self) {
        // The end of file is the signal; the leash waits for QEMU.
        drop(self.end.take());
        let _ = self.leash.wait();
        if let Some(flash) = &self.flash {
            let _ = fs::remove_file(flash);
        }
    }
}

/// No ARM processor of QEMU's can be had without AES, so PID 1 is told that there is none: as it starts, `AT_HWCAP` (16)
/// loses `HWCAP_AES` and `HWCAP_PMULL` (asm/hwcap.h), which come together.
fn without_aes(port: u16) {
    let start = Instant::now();
    let attempts = std::iter::repeat_with(|| Gdb::connect(port)).take_while(|_| start.elapsed() < BOOT_LIMIT);
    let gdb = attempts.into_iter().find_map(Result::ok).expect("QEMU listens in time");
    let cpud = fs::read(Artifact::Cpud.path(&board::under_test().name)).expect("cpud was built");
    let entry = u64::from_le_bytes(*cpud[24..].first_chunk().expect("an ELF header"));
    gdb.take_from_auxiliary(entry, 16, 3 << 3);
}

/// The processes in what `look` printed.
pub fn parse(look: &str) -> Vec<Process> {
    let lines = look.lines().filter(|line| line.contains('\t'));
    lines.map(|line| line.parse().unwrap_or_else(|e| panic!("{e}"))).collect()
}

/// A program of this crate, built beside the tests.
pub fn program(name: &str) -> PathBuf {
    let this = std::env::current_exe().expect("a test knows its own path");
    let folder = this.ancestors().find(|folder| folder.join(name).is_file());
    folder.unwrap_or_else(|| panic!("cargo has not built {name}")).join(name)
}

/// Where a session finds a file of the client's that is in no directory of the name space.
pub fn served(path: &Path) -> String {
    format!("/tmp/cpu{}", path.display())
}

/// Whether this machine's QEMU has the device.
pub fn has_device(name: &str) -> Result<(), Reason> {
    let asked = Command::new("qemu-system-x86_64").args(["-device", &format!("{name},help")]).output();
    let has = asked.is_ok_and(|asked| asked.status.success());
    has.then_some(()).ok_or_else(|| format!("this QEMU has no {name}"))
}

/// Whether this machine's QEMU can end a cable in this.
pub fn has_netdev(kind: &str) -> Result<(), Reason> {
    let help = Command::new(board::under_test().qemu()).args(["-netdev", "help"]).output();
    let kinds = help.map(|help| String::from_utf8_lossy(&help.stdout).into_owned()).unwrap_or_default();
    let has = kinds.lines().any(|line| line == kind);
    has.then_some(()).ok_or_else(|| format!("this QEMU has no -netdev {kind}"))
}
