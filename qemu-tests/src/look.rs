//! Processes as /proc has them. The program `look` prints this from inside the guest, served over 9P like any other
//! command of the client's.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::str::FromStr;
use std::{fmt, io};

/// One process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    pub pid: u32,
    pub parent: u32,
    /// R, S, D (uninterruptible), Z, ...
    pub state: char,
    /// Under a seccomp filter: a wire.
    pub filtered: bool,
    /// Effective capabilities, as a bit set.
    pub capabilities: u64,
    /// Resident memory and private memory, in KiB.
    pub resident: u64,
    pub private: u64,
    /// Memory that no file stands behind, in KiB: what a leak would add to. Pages of the program come and go.
    pub anonymous: u64,
    /// User and system time so far, in clock ticks (10 ms).
    pub ticks: u64,
    /// Where each open descriptor leads, as readlink has it.
    pub descriptors: Vec<String>,
    pub name: String,
}

impl Process {
    /// Reads /proc/PID; None when the process is gone, or is the kernel's.
    pub fn read(pid: u32) -> Option<Self> {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            line.split_whitespace().next()
        };
        if field("Kthread:") == Some("1") {
            return None;
        }
        // A zombie has no memory to report.
        let memory = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
        let kib = |name: &str| -> u64 {
            let line = memory.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
        };
        // After the name in parentheses, which may itself hold blanks: state is the third field, times are 14 and 15.
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let times: Vec<&str> = stat.rsplit(')').next()?.split_whitespace().collect();
        let mut descriptors = descriptors(pid).unwrap_or_default();
        descriptors.sort();
        Some(Self {
            pid,
            parent: field("PPid:")?.parse().ok()?,
            state: field("State:")?.chars().next()?,
            filtered: field("Seccomp:") == Some("2"),
            capabilities: u64::from_str_radix(field("CapEff:")?, 16).ok()?,
            resident: kib("Rss:"),
            private: kib("Private_Clean:") + kib("Private_Dirty:"),
            anonymous: kib("Anonymous:"),
            ticks: times.get(11)?.parse::<u64>().ok()? + times.get(12)?.parse::<u64>().ok()?,
            descriptors,
            name: field("Name:")?.to_owned(),
        })
    }

    /// The role that looks after the network, which alone has CAP_NET_ADMIN (12) and CAP_NET_RAW (13) and no more.
    pub fn is_net(&self) -> bool {
        self.filtered && self.capabilities == 1 << 12 | 1 << 13
    }

    /// Whether `needle` is anywhere in the process's readable memory, as far as it is there at all: a relay maps much more
    /// than it has.
    pub fn remembers(&self, needle: &[u8]) -> bool {
        let open = |name: &str| File::open(format!("/proc/{}/{name}", self.pid));
        let maps = fs::read_to_string(format!("/proc/{}/maps", self.pid)).unwrap_or_default();
        let (Ok(memory), Ok(pagemap)) = (open("mem"), open("pagemap")) else { return false };
        maps.lines().filter_map(range).any(|(mut start, end)| {
            // proc_pid_pagemap(5): 64 bits a page, the upper two for a page that is in memory or in swap.
            let mut entries = vec![0; ((end - start) / PAGE * 8) as usize];
            pagemap.read_exact_at(&mut entries, start / PAGE * 8).expect("a page has an entry");
            let there: Vec<bool> = entries.chunks_exact(8).map(|entry| entry[7] >> 6 != 0).collect();
            there.chunk_by(bool::eq).any(|run| {
                let mut bytes = vec![0; if run[0] { run.len() * PAGE as usize } else { 0 }];
                // [vvar] and the like cannot be read, and hold nothing of the process.
                let read = memory.read_exact_at(&mut bytes, start).is_ok();
                start += run.len() as u64 * PAGE;
                read && bytes.windows(needle.len()).any(|at| at == needle)
            })
        })
    }
}

/// Where each open descriptor of a process leads; an error when there is no such process.
pub fn descriptors(pid: u32) -> io::Result<Vec<String>> {
    let links = fs::read_dir(format!("/proc/{pid}/fd"))?.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    Ok(links.map(|link| link.display().to_string()).collect())
}

/// The bytes of a page on every machine here.
const PAGE: u64 = 4096;

fn range(line: &str) -> Option<(u64, u64)> {
    let (start, end) = line.split_whitespace().next()?.split_once('-')?;
    Some((u64::from_str_radix(start, 16).ok()?, u64::from_str_radix(end, 16).ok()?))
}

/// Every process of user land, by pid.
pub fn processes() -> Vec<Process> {
    let entries = fs::read_dir("/proc").expect("/proc is mounted");
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let mut all: Vec<Process> = pids.filter_map(Process::read).collect();
    all.sort_by_key(|process| process.pid);
    all
}

/// All but PID 1, the network's and the session in which `look` runs.
pub fn others(all: &[Process]) -> Vec<&Process> {
    // The look, its guard and its wire are the newest of their kind.
    let own = all.iter().rfind(|process| process.name == "look").map_or(0, |look| look.parent);
    all.iter()
        .filter(|p| {
            p.pid != 1 && !p.is_net() && p.parent != own && p.pid != own && !(p.filtered && p.pid.abs_diff(own) == 1)
        })
        .collect()
}

/// `pid` and all that descend from it.
pub fn family(all: &[Process], pid: u32) -> Vec<Process> {
    let mut members = vec![pid];
    let mut next = 0;
    while let Some(&parent) = members.get(next) {
        members.extend(all.iter().filter(|process| process.parent == parent).map(|process| process.pid));
        next += 1;
    }
    all.iter().filter(|process| members.contains(&process.pid)).cloned().collect()
}

/// Sockets that more than one process holds, with the processes: a descriptor that somebody forgot to close.
pub fn shared_sockets(all: &[Process]) -> BTreeMap<String, Vec<u32>> {
    let mut holders = BTreeMap::<String, Vec<u32>>::new();
    for process in all {
        for socket in process.descriptors.iter().filter(|link| link.starts_with("socket:")) {
            let pids = holders.entry(socket.clone()).or_default();
            if !pids.contains(&process.pid) {
                pids.push(process.pid);
            }
        }
    }
    holders.retain(|_, pids| pids.len() > 1);
    holders
}

/// The line that `look` prints.
impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pid, parent, state, filtered, capabilities, resident, private, anonymous, ticks, .. } = self;
        let links = self.descriptors.join("|");
        write!(f, "{pid}\t{parent}\t{state}\t{filtered}\t{capabilities}\t{resident}\t{private}\t{anonymous}\t")?;
        write!(f, "{ticks}\t{links}\t{}", self.name)
    }
}

/// Reads that line back.
impl FromStr for Process {
    type Err = String;

    fn from_str(line: &str) -> Result<Self, String> {
        let bad = || format!("not a line of look: {line:?}");
        let fields: [&str; 11] = line.split('\t').collect::<Vec<_>>().try_into().map_err(|_| bad())?;
        let [pid, parent, state, filtered, capabilities, resident, private, anonymous, ticks, links, name] = fields;
        let number = |field: &str| field.parse::<u64>().map_err(|_| bad());
        Ok(Self {
            pid: pid.parse().map_err(|_| bad())?,
            parent: parent.parse().map_err(|_| bad())?,
            state: state.chars().next().ok_or_else(bad)?,
            filtered: filtered == "true",
            capabilities: number(capabilities)?,
            resident: number(resident)?,
            private: number(private)?,
            anonymous: number(anonymous)?,
            ticks: number(ticks)?,
            descriptors: links.split('|').filter(|link| !link.is_empty()).map(str::to_owned).collect(),
            name: name.to_owned(),
        })
    }
}
