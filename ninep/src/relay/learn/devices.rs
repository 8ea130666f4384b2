//! Which of the client's devices a file is on. 9P does not say, but the client's own /proc/self/mountinfo does
//! (proc_pid_mountinfo(5)). It is read when the session begins, and again when a directory that is found looks like the
//! root of a device that was mounted meanwhile.
//!
//! proc/self is a symbolic link, and the stock server does not follow links. So the way to the file is a walk,
//! Treadlink, a walk to the process's own directory, Tlopen, Tread. The owner of the file is the upstream user. stat(2)
//! waits for the answer, looking names up does not. A client without such a file is guessed about: a directory whose
//! inode number is one that file systems give their root begins another device, and the owner of the user's home is the
//! upstream user.

use crate::relay::data::hash::Hash;
use crate::relay::data::mounts::{Kind, Mount, ROOT_MOST, SUBVOLUME, place_of};
use crate::relay::data::node::{Node, NodeId};
use crate::relay::state::Relay;
use crate::types::{Qid, qt};

impl Relay<'_> {
    /// The client's mounts are known: nodes that were found before get theirs. Inode numbers stay as they were shown.
    pub(crate) fn devices_known(&mut self) {
        self.devices.end();
        for id in 1..self.tree.end() as NodeId {
            let Node { used, gone, absent, parent, place, device, qid, .. } = self.tree.view(id);
            if !used || gone || absent {
                continue;
            }
            let guessed = device != self.tree.view(parent).device;
            match self.devices.at(place).and_then(|number| self.devices.known_mut(number)) {
                Some(mount) => {
                    mount.root = qid.path;
                    if let Mount { told, device: 1.., .. } = *mount
                        && guessed
                    {
                        self.devices.call(told, device);
                    }
                }
                None if guessed && qid.path == SUBVOLUME => {
                    self.devices.add(Mount { place, told: device, device, kind: Kind::Btrfs, root: SUBVOLUME });
                }
                None => {}
            }
        }
        for id in 1..self.tree.end() as NodeId {
            let (mut at, mut number) = (id, None);
            while number.is_none() && at != 0 {
                let Node { place, parent, device, qid, .. } = self.tree.view(at);
                let guessed = qid.path <= ROOT_MOST && device != self.tree.view(parent).device;
                // One of those that had no room.
                let guessed = guessed && self.devices.has_more();
                (number, at) = (self.devices.at(place), if guessed { 0 } else { parent });
            }
            self.tree.node(id).mount = number.unwrap_or_default();
        }
    }

    /// The device and the mount of a name in a directory.
    pub(crate) fn device_of(&mut self, parent: NodeId, name: Hash, qid: &Qid) -> (u32, u16) {
        let Node { device: around, mount: above, place, .. } = self.tree.view(parent);
        let place = place_of(place, name);
        let number = self.devices.at(place);
        if let Some((number, mount)) = number.and_then(|n| Some((n, self.devices.mount(n)?))) {
            return (mount.device, number);
        }
        let known = self.devices.mount(above).copied();
        let around = known.map_or(around, |mount| mount.device);
        let directory = qid.kind & qt::DIR != 0;
        let other = (Hash::of_words(&[u64::from(around), place.0, place.1]).0 as u32).max(1);
        match known {
            Some(Mount { kind: Kind::Btrfs, .. }) if directory && qid.path == SUBVOLUME => {
                let mount = Mount { place, told: other, device: other, kind: Kind::Btrfs, root: 0 };
                (other, self.devices.add(mount).unwrap_or_default())
            }
            Some(_) if !self.devices.has_more() => (around, above),
            _ if directory && qid.path <= ROOT_MOST => (other, 0),
            _ => (around, above),
        }
    }

    /// Notes where a node is when it is found. The device that it was shown on does not change later.
    pub(crate) fn place_node(&mut self, id: NodeId, qid: &Qid) {
        let Node { parent, name, key, absent, .. } = self.tree.view(id);
        let (device, mount) = self.device_of(parent, name, qid);
        let now = self.now_ms;
        let node = self.tree.node(id);
        (node.named, node.nameless) = (now, false);
        if key == Hash::default() || absent {
            (node.device, node.mount) = (device, mount);
        }
    }
}
