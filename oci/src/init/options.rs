//! Options of mounts. Source: config.md, "Linux mount options".

use crate::config::Mount;
use crate::failure::unsupported;
use wave_engine::Failure;

/// What the options of a mount mean.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// A path of the host instead of a new file system.
    pub bind: bool,
    /// With all mounts below it.
    pub recursive: bool,
    /// Attributes `MOUNT_ATTR_…` to set and to clear.
    pub set: u64,
    /// The second of these.
    pub clear: u64,
    /// Whether they hold for the mounts below, too.
    pub below: bool,
    /// How mounts propagate, as `MS_…`, and whether that holds for the mounts below, too. In this order.
    pub propagation: Vec<(u64, bool)>,
    /// Whether a new file system gets what the directory has.
    pub copies_up: bool,
    /// Whether a mount that is there gets other attributes.
    pub remount: bool,
    /// What the file system itself understands: names, with a value or without.
    pub data: Vec<(String, Option<String>)>,
}

/// Attributes, whether the option sets or clears them.
const ATTRIBUTES: [(&str, u64, bool); 17] = [
    ("ro", libc::MOUNT_ATTR_RDONLY, true),
    ("rw", libc::MOUNT_ATTR_RDONLY, false),
    ("nosuid", libc::MOUNT_ATTR_NOSUID, true),
    ("suid", libc::MOUNT_ATTR_NOSUID, false),
    ("nodev", libc::MOUNT_ATTR_NODEV, true),
    ("dev", libc::MOUNT_ATTR_NODEV, false),
    ("noexec", libc::MOUNT_ATTR_NOEXEC, true),
    ("exec", libc::MOUNT_ATTR_NOEXEC, false),
    ("nodiratime", libc::MOUNT_ATTR_NODIRATIME, true),
    ("diratime", libc::MOUNT_ATTR_NODIRATIME, false),
    ("nosymfollow", libc::MOUNT_ATTR_NOSYMFOLLOW, true),
    ("symfollow", libc::MOUNT_ATTR_NOSYMFOLLOW, false),
    ("noatime", libc::MOUNT_ATTR_NOATIME, true),
    ("strictatime", libc::MOUNT_ATTR_STRICTATIME, true),
    ("relatime", libc::MOUNT_ATTR_RELATIME, true),
    ("atime", libc::MOUNT_ATTR_NOATIME, false),
    ("norelatime", libc::MOUNT_ATTR_RELATIME, false),
];

const PROPAGATIONS: [(&str, u64); 4] = [
    ("private", libc::MS_PRIVATE),
    ("shared", libc::MS_SHARED),
    ("slave", libc::MS_SLAVE),
    ("unbindable", libc::MS_UNBINDABLE),
];

/// Options that change nothing: they are what the kernel does anyway.
const USUAL: [&str; 8] = ["defaults", "async", "nomand", "loud", "noiversion", "nolazytime", "nostrictatime", "silent"];

/// Options that no mount of ours has. The kernel has forgotten mandatory locks, and sets `iversion` itself where it has a meaning.
const REFUSED: [&str; 4] = ["mand", "iversion", "idmap", "ridmap"];

impl Options {
    /// Reads the options of a mount.
    ///
    /// # Errors
    /// 125 for an option that is not supported.
    pub fn read(mount: &Mount) -> Result<Self, Failure> {
        let mut options = Self { bind: mount.kind == "bind", ..Self::default() };
        for option in &mount.options {
            if !options.know(option)? {
                let (name, value) =
                    option.split_once('=').map_or((option.as_str(), None), |(name, value)| (name, Some(value)));
                if options.bind || options.remount {
                    let place = mount.destination.display();
                    return Err(unsupported(
                        &format!("mounts: the option {option:?} of {place}"),
                        "the options of the specification are",
                    ));
                }
                options.data.push((name.to_owned(), value.map(str::to_owned)));
            }
        }
        if options.bind {
            // Nobody who asks for a directory that cannot be written to wants one below it that can be.
            options.below |= options.recursive;
        }
        Ok(options)
    }

    fn know(&mut self, option: &str) -> Result<bool, Failure> {
        if REFUSED.contains(&option) {
            return Err(unsupported(
                &format!("mounts: the option {option:?}"),
                "the other options of the specification are",
            ));
        }
        if USUAL.contains(&option) {
            return Ok(true);
        }
        match option {
            "bind" => self.bind = true,
            "rbind" => (self.bind, self.recursive) = (true, true),
            "tmpcopyup" => self.copies_up = true,
            "remount" => self.remount = true,
            _ => return Ok(self.attribute(option) || self.propagate(option)),
        }
        Ok(true)
    }

    fn attribute(&mut self, option: &str) -> bool {
        let find = |name: &str| ATTRIBUTES.iter().find(|(other, ..)| *other == name);
        let (known, below) = match find(option) {
            Some(known) => (Some(known), false),
            None => (option.strip_prefix('r').and_then(find), true),
        };
        let Some((_, attribute, sets)) = known else { return false };
        self.below |= below;
        // Times of access are one field, whose value for `relatime` is 0.
        const TIMES: u64 = libc::MOUNT_ATTR_NOATIME | libc::MOUNT_ATTR_STRICTATIME | libc::MOUNT_ATTR_RELATIME;
        if attribute & TIMES != 0 || *attribute == libc::MOUNT_ATTR_RELATIME {
            self.set &= !TIMES;
            self.clear |= libc::MOUNT_ATTR__ATIME;
            self.set |= if *sets { *attribute } else { 0 };
        } else if *sets {
            self.set |= attribute;
            self.clear &= !attribute;
        } else {
            self.set &= !attribute;
            self.clear |= attribute;
        }
        true
    }

    fn propagate(&mut self, option: &str) -> bool {
        let find = |name: &str| PROPAGATIONS.iter().find(|(other, _)| *other == name).map(|(_, flag)| *flag);
        let known = find(option).map(|flag| (flag, false));
        let known = known.or_else(|| Some((find(option.strip_prefix('r')?)?, true)));
        self.propagation.extend(known);
        known.is_some()
    }
}

/// All options that mounts may have, for `features`.
pub fn mount_options() -> Vec<String> {
    let attributes = ATTRIBUTES.iter().map(|(name, ..)| *name);
    let names: Vec<_> = attributes.chain(PROPAGATIONS.iter().map(|(name, _)| *name)).collect();
    let recursive = names.iter().map(|name| format!("r{name}"));
    let other = USUAL
        .iter()
        .copied()
        .chain(["bind", "dirsync", "lazytime", "rbind", "remount", "sync", "tmpcopyup"])
        .map(str::to_owned);
    let mut all: Vec<_> = names.iter().map(|name| (*name).to_owned()).chain(recursive).chain(other).collect();
    all.sort();
    all
}

/// The propagation that a word of `linux.rootfsPropagation` names.
///
/// # Errors
/// 125 for another word.
pub fn propagation(word: &str) -> Result<(u64, bool), Failure> {
    let mut options = Options::default();
    match options.propagate(word).then(|| options.propagation.first().copied()).flatten() {
        Some(found) => Ok(found),
        None => {
            Err(unsupported(&format!("linux.rootfsPropagation {word:?}"), "private, slave, shared and unbindable are"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(kind: &str, options: &[&str]) -> Result<Options, Failure> {
        let mut mount = Mount::default();
        kind.clone_into(&mut mount.kind);
        mount.options = options.iter().map(|option| (*option).to_owned()).collect();
        Options::read(&mount)
    }

    #[test]
    fn the_options_that_podman_and_containerd_send_are_understood() {
        let tmpfs = read("tmpfs", &["nosuid", "noexec", "strictatime", "mode=755", "size=65536k"]).unwrap();
        assert_eq!(tmpfs.set, libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NOEXEC | libc::MOUNT_ATTR_STRICTATIME);
        assert_eq!(
            tmpfs.data,
            [("mode".to_owned(), Some("755".to_owned())), ("size".to_owned(), Some("65536k".to_owned()))]
        );
        let bind = read("bind", &["rbind", "ro", "rprivate"]).unwrap();
        assert!(bind.bind && bind.recursive && bind.below);
        assert_eq!((bind.set, bind.propagation), (libc::MOUNT_ATTR_RDONLY, vec![(libc::MS_PRIVATE, true)]));
        let single = read("bind", &["bind", "ro"]).unwrap();
        assert!(!single.recursive && !single.below);
    }

    #[test]
    fn the_later_option_wins() {
        assert_eq!(read("tmpfs", &["ro", "rw"]).unwrap().set, 0);
        assert_eq!(read("tmpfs", &["rw", "ro"]).unwrap().set, libc::MOUNT_ATTR_RDONLY);
        let times = read("tmpfs", &["noatime", "relatime"]).unwrap();
        assert_eq!((times.set, times.clear), (0, libc::MOUNT_ATTR__ATIME));
    }

    #[test]
    fn an_option_that_has_no_effect_here_is_refused() {
        for (kind, option) in [("tmpfs", "mand"), ("bind", "idmap"), ("bind", "size=1"), ("bind", "sync")] {
            assert_eq!(read(kind, &[option]).unwrap_err().code(), 125, "{option}");
        }
    }
}
