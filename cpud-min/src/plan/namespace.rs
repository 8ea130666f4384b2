//! The name space of a session: which mounts are made, in which order, and which of them it cannot
//! do without.

use core::ffi::CStr;
use core::fmt::{self, Display, Formatter};

use linux_raw_sys::general::{MS_BIND, MS_NODEV, MS_NOSUID, MS_REC, MS_REMOUNT};

use super::exec_line::Generation;
use super::fstab::{self, Entry, Lines, Malformed};
use super::quoted::Quoted;

/// Where the client's files are mounted.
pub const CLIENT: &CStr = c"/tmp/cpu";

/// The flags of that mount: the client's set-user-ID bits and device nodes mean nothing here.
pub const CLIENT_FLAGS: u32 = MS_NOSUID | MS_NODEV;

/// V2 has no fstab; its `-bindover` stands for this one.
const V2_FSTAB: &[u8] = b"\
/tmp/cpu/lib /lib none bind
/tmp/cpu/lib64 /lib64 none bind
/tmp/cpu/lib32 /lib32 none bind
/tmp/cpu/usr /usr none bind
/tmp/cpu/bin /bin none bind
/tmp/cpu/etc /etc none bind
";

/// The directories of the stock clients' default name spaces, V3's and V2's.
const DEFAULT: [&[u8]; 7] = [b"/lib", b"/lib64", b"/lib32", b"/usr", b"/bin", b"/etc", b"/home"];

/// Where a step comes from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Place {
    pub table: &'static str,
    /// Counted from 1.
    pub line: usize,
}

impl Display for Place {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "line {} of {}", self.line, self.table)
    }
}

/// One thing to do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Action<'r> {
    /// Show `source` at `target` too.
    Bind {
        source: &'r CStr,
        target: &'r CStr,
        /// `MS_BIND`, perhaps with `MS_REC`.
        flags: u32,
        /// `MS_*` flags for a second mount(2) with `MS_REMOUNT | MS_BIND`, as the first one takes
        /// no others, beside those that the mount has to keep. 0: none.
        remount: u32,
        /// Without it another command than the client's could run. So when the bind fails the session ends, unless the
        /// client has no such file (`ENOENT` although the mount point is there).
        vital: bool,
    },
    /// Call mount(2) with the entry unchanged.
    Mount(Entry<'r>),
    /// Report that this line and all others that bind files of the client's are left out.
    LeaveOut,
}

/// An action with its origin.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Step<'r> {
    pub place: Place,
    pub action: Action<'r>,
}

/// The beginning of a sentence on the step's result; for [`Action::LeaveOut`] the whole.
impl Display for Step<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (source, target) = match self.action {
            Action::Bind { source, target, .. } | Action::Mount(Entry { source, target, .. }) => (source, target),
            Action::LeaveOut => {
                return write!(
                    f,
                    "{} and all others that need the client's files are left out: it serves none",
                    self.place
                );
            }
        };
        write!(f, "{}, {} on {}", self.place, Quoted(source.to_bytes()), Quoted(target.to_bytes()))
    }
}

/// A line that is no entry.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct LineError {
    pub place: Place,
    pub fault: Malformed,
}

impl Display for LineError {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.place, self.fault)
    }
}

/// The steps of one session, in order.
#[derive(Clone, Debug)]
pub struct Namespace<'t> {
    table: &'static str,
    lines: Lines<'t>,
    /// Something is mounted on [`CLIENT`].
    client: bool,
    left_out: bool,
}

impl<'t> Namespace<'t> {
    /// `ninep` is `None` without a 9P mount; `cpu_fstab` is the value of that variable, empty when
    /// it is not set.
    pub const fn new(ninep: Option<Generation>, cpu_fstab: &'t [u8]) -> Self {
        let (table, text) = match ninep {
            Some(Generation::V2) => ("V2's name space", V2_FSTAB),
            Some(Generation::V3) | None => ("CPU_FSTAB", cpu_fstab),
        };
        Self { table, lines: Lines::new(text), client: ninep.is_some(), left_out: false }
    }

    /// The next step, its strings in `room`.
    pub fn next<'r>(&mut self, room: &'r mut [u8; fstab::ROOM]) -> Option<Result<Step<'r>, LineError>> {
        loop {
            let (line, fields) = self.lines.next()?;
            let place = Place { table: self.table, line };
            match fields {
                Ok(fields) if !self.client && is_clients(fields.source) => {
                    if !core::mem::replace(&mut self.left_out, true) {
                        return Some(Ok(Step { place, action: Action::LeaveOut }));
                    }
                }
                Ok(fields) => {
                    // In its NFS mode the stock client's files come by a line of the table.
                    self.client |= fields.target == CLIENT.to_bytes();
                    let step = fields.decode(room).map(|entry| Step { place, action: action(entry) });
                    return Some(step.map_err(|fault| LineError { place, fault }));
                }
                Err(fault) => return Some(Err(LineError { place, fault })),
            }
        }
    }
}

/// Whether a link in the root to `target` leads into a directory of the client's that is bound at its own place.
pub fn shows(ninep: Option<Generation>, table: &[u8], target: &[u8]) -> bool {
    let first = target.split(|&b| b == b'/').find(|name| !matches!(*name, [] | b"." | b".."));
    let mut room = [0; fstab::ROOM];
    let mut steps = Namespace::new(ninep, table);
    while let Some(step) = steps.next(&mut room) {
        if let Ok(Step { action: Action::Bind { source, target, .. }, .. }) = step
            && source.to_bytes().strip_prefix(CLIENT.to_bytes()) == Some(target.to_bytes())
            && target.to_bytes().strip_prefix(b"/") == first
        {
            return true;
        }
    }
    false
}

/// Whether `path` is [`CLIENT`] or below.
fn is_clients(path: &[u8]) -> bool {
    matches!(path.strip_prefix(CLIENT.to_bytes()), Some([] | [b'/', ..]))
}

fn without_slashes(mut path: &[u8]) -> &[u8] {
    while let [start @ .., b'/'] = path {
        path = start;
    }
    path
}

fn action(entry: Entry<'_>) -> Action<'_> {
    if entry.flags & (MS_BIND | MS_REMOUNT) != MS_BIND {
        return Action::Mount(entry);
    }
    let Entry { source, target, .. } = entry;
    let clients = is_clients(source.to_bytes());
    Action::Bind {
        source,
        target,
        flags: entry.flags & (MS_BIND | MS_REC),
        remount: entry.flags & !(MS_BIND | MS_REC),
        vital: clients && DEFAULT.contains(&without_slashes(target.to_bytes())),
    }
}

#[cfg(test)]
mod tests;
