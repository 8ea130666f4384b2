//! A cpud as `/init`, on the kernel and the machine that all contenders have.

use std::fs::{self, File};
use std::io::Read;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use qemu_tests::artifacts::{Artifact, scratch};
use qemu_tests::keys::{Key, Kind};
use qemu_tests::vm::{Machine, Vm};

pub const LIMIT: Duration = Duration::from_secs(120);

/// A program and what boots it.
pub struct Contender {
    pub program: PathBuf,
    pub machine: Machine,
}

impl Contender {
    pub fn ours() -> Self {
        Self { program: Artifact::Cpud.path("qemu-q35"), machine: Machine::direct() }
    }

    /// Another cpud, which knows nothing of our image.
    pub fn reference(program: PathBuf) -> Self {
        let machine = Machine { initramfs: reference_image(&program), ..Machine::direct() };
        Self { program, machine }
    }

    /// A machine that answers, and how long that took from power-on.
    pub fn boot(&self) -> (Vm, Duration) {
        let vm = Vm::power_on(&self.machine);
        let ready = first_word(&vm);
        (vm, ready)
    }
}

/// Knocks until an ssh version comes back. QEMU takes connections before the guest listens, and hangs up on them.
pub fn first_word(vm: &Vm) -> Duration {
    loop {
        let mut version = [0; 4];
        let socket = TcpStream::connect(("127.0.0.1", vm.port));
        let answered = socket.and_then(|mut socket| {
            socket.set_read_timeout(Some(Duration::from_millis(500)))?;
            socket.read_exact(&mut version)
        });
        if answered.is_ok() && &version == b"SSH-" {
            return vm.power_on.elapsed();
        }
        assert!(
            vm.power_on.elapsed() < LIMIT,
            "no ssh version; the console said:\n{}",
            vm.console.since(Default::default())
        );
        thread::sleep(Duration::from_millis(20));
    }
}

const INIT: &str = "#!/busybox sh
/busybox ifconfig eth0 10.0.2.15 netmask 255.255.255.0 up
/busybox route add default gw 10.0.2.2
exec /cpud
";

/// An image with `program`, the key where u-root's cpud looks for it, which is `key.pub` in its directory, and the mount
/// points of the default name space, which it does not make. Nor does it ask for an address: a few lines of shell give it
/// the one that QEMU's network has for it, and become it.
fn reference_image(program: &Path) -> PathBuf {
    let folder = scratch("reference");
    let tree = folder.join("tree");
    for mount_point in ["bin", "etc", "home", "lib", "lib64", "usr/bin", "usr/lib", "usr/lib64"] {
        fs::create_dir_all(tree.join(mount_point)).expect("a folder in the scratch folder");
    }
    fs::copy(program, tree.join("cpud")).unwrap_or_else(|e| panic!("{}: {e}", program.display()));
    fs::copy("/bin/busybox", tree.join("busybox")).expect("busybox-static is installed");
    fs::write(tree.join("init"), INIT).expect("a file in the scratch folder");
    fs::set_permissions(tree.join("init"), fs::Permissions::from_mode(0o755)).expect("it is ours");
    fs::copy(Key::user(Kind::Rsa2048).public, tree.join("key.pub")).expect("the key was made");
    let image = folder.join("initramfs.cpio.xz");
    let pack = "find . | cpio --quiet -o -H newc -R 0:0 | xz --check=crc32 --x86 --lzma2=preset=9e,dict=1MiB";
    let file = File::create(&image).expect("a file in the scratch folder");
    let packed = Command::new("sh").args(["-c", pack]).current_dir(&tree).stdout(file).status();
    assert!(packed.is_ok_and(|status| status.success()), "cpio and xz make no image");
    image
}
