//! Where a row runs, and who runs it.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use qemu_tests::client;
use qemu_tests::keys::{Key, Kind};
use qemu_tests::run::run;
use qemu_tests::skip::{Reason, on_path};

use crate::LIMIT;

/// `games` of Debian's base-passwd: neither id is root's, and they are not the same.
const USER: (u32, u32) = (5, 60);

/// Whose client it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Who {
    Root,
    /// Somebody without privileges: `games`, or whoever runs the tests when that is not root.
    User,
}

impl Who {
    fn is_root_here() -> bool {
        fs::metadata("/proc/self").is_ok_and(|about| about.uid() == 0)
    }

    /// Whether his client and the appliance can be run on this machine.
    pub fn here(self) -> Result<(), Reason> {
        if self == Self::Root && !Self::is_root_here() {
            return Err("these tests are not run by root".to_owned());
        }
        client::v3()?;
        on_path("qemu-system-x86_64")?;
        Ok(())
    }

    /// Every user may look into the folders above `path`, or it is root's business.
    fn may_read(self, path: &Path) -> bool {
        let searchable = |path: &Path| fs::metadata(path).is_ok_and(|about| about.mode() & 1 != 0);
        self.ids().is_none() || path.ancestors().all(searchable)
    }

    /// What to become.
    fn ids(self) -> Option<(u32, u32)> {
        (self == Self::User && Self::is_root_here()).then_some(USER)
    }
}

/// A folder where every user gets at it, with the work, a home, the client and its key. Gone on drop.
pub struct Place {
    folder: PathBuf,
    who: Who,
}

impl Place {
    pub fn new(name: &str, who: Who) -> Self {
        let folder = Path::new("/var/tmp").join(format!("cpud-{name}-{who:?}-{}", std::process::id()));
        fs::create_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
        let place = Self { folder, who };
        let copies = [
            (client::v3().expect("it was asked for before").to_owned(), "v3", 0o755),
            (Key::user(Kind::Rsa2048).private, "key", 0o600),
        ];
        for (from, to, mode) in copies {
            let to = place.folder.join(to);
            fs::copy(from, &to).and_then(|_| fs::set_permissions(&to, Permissions::from_mode(mode))).expect("a copy");
            place.give(&to);
        }
        place.give(&place.folder);
        place
    }

    pub fn work(&self) -> PathBuf {
        self.folder.join("work")
    }

    /// Makes `work` and the home anew.
    pub fn empty(&self) {
        for name in ["work", "home"] {
            let folder = self.folder.join(name);
            if folder.exists() {
                fs::remove_dir_all(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
            }
            fs::create_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
            self.give(&folder);
        }
    }

    /// Copies a file or a tree to `name` beside `work`, where it stays.
    pub fn bring(&self, from: &Path, name: &str) {
        let to = self.folder.join(name);
        fs::create_dir_all(to.parent().expect("it is below the folder")).expect("a folder of our own");
        run(Command::new("cp").arg("-RT").args([from, &to]), LIMIT).ok();
    }

    /// A moment before all runs here, with room for the clock's grain.
    pub fn began(&self) -> SystemTime {
        let made = fs::metadata(self.folder.join("key")).and_then(|about| about.modified());
        made.expect("the key was copied") - Duration::from_secs(1)
    }

    fn give(&self, path: &Path) {
        if let Some((user, group)) = self.who.ids() {
            chown(path, Some(user), Some(group)).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        }
    }

    /// `program` as the client's user, in the folder `work`.
    fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new(program.as_ref());
        command.current_dir(self.work()).env_clear();
        command.envs([("PATH", "/usr/bin:/bin"), ("LC_ALL", "C.UTF-8"), ("TZ", "UTC"), ("USER", "root")]);
        command.env("HOME", self.folder.join("home")).env("PWD", self.work());
        // Owners that a session sees as root, and cargo's own folder, which is not in a directory of Debian's.
        let about = fs::metadata(self.work()).expect("it was made");
        command.env("USER_ID", about.uid().to_string()).env("GROUP_ID", about.gid().to_string());
        command.env("RUST", sysroot());
        if let Some((user, group)) = self.who.ids() {
            command.uid(user).gid(group);
        }
        command
    }

    pub fn at_home(&self, lines: &[&str]) -> Command {
        let mut command = self.command(SHELL[0]);
        command.env("TMPDIR", "/tmp").args(&SHELL[1..]).arg(script(lines));
        command
    }

    /// The same on the appliance at `port`.
    pub fn there(&self, port: u16, lines: &[&str]) -> Command {
        let mut command = self.command(self.folder.join("v3"));
        command.args(["-port", &port.to_string()]);
        self.session(command, None, lines)
    }

    /// The same by today's stock client.
    pub fn by_stock_client(&self, port: u16, lines: &[&str]) -> Result<Command, Reason> {
        let mut command = self.command(on_path("cpu")?);
        command.args(["-sp", &port.to_string(), "-timeout9p", "60s"]);
        Ok(self.session(command, Some("127.0.0.1"), lines))
    }

    fn session(&self, mut command: Command, host: Option<&str>, lines: &[&str]) -> Command {
        let mut namespace = format!("/lib:/lib64:/usr:/bin:/etc:{}", self.folder.display());
        if self.who.may_read(&sysroot()) {
            namespace += &format!(":{}", sysroot().display());
        }
        command.args(["-namespace", &namespace, "-key"]).arg(self.folder.join("key"));
        command.args(host).args(SHELL).arg(script(lines));
        command
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// A program in front of a pipe fails the row, too.
const SHELL: [&str; 4] = ["/bin/bash", "-o", "pipefail", "-ec"];

fn script(lines: &[&str]) -> String {
    format!("umask 022\n{}", lines.join("\n"))
}

/// Where the Rust of these tests lies: cargo's own parent's parent.
fn sysroot() -> PathBuf {
    let cargo = Path::new(env!("CARGO"));
    cargo.ancestors().nth(2).expect("SYSROOT/bin/cargo").to_owned()
}
