//! Converts file attributes of the host to those of WASI.

use crate::clock::{self, Time};
use crate::platform;
use rustix::fs::{FileType as HostType, Stat, Timespec};
use wave_monitor::{Errno, FileType, Kind, Rule};

/// The attributes of a file for the guest.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FileStat {
    device: u64,
    inode: u64,
    file_type: FileType,
    links: u64,
    size: u64,
    accessed: u64,
    modified: u64,
    changed: u64,
}

/// The size of `$filestat` in `wasi_snapshot_preview1`.
pub(crate) const SIZE: u32 = 64;
/// The size of `$filestat` in `wasi_unstable`.
pub(crate) const UNSTABLE_SIZE: u32 = 56;

impl FileStat {
    /// Converts the host's attributes. Timestamps have the guest's resolution.
    #[inline]
    pub(crate) fn new(stat: &Stat, guest: &Time) -> Self {
        let time = |seconds: i64, nanoseconds| {
            let time = Timespec { tv_sec: seconds, tv_nsec: i64::try_from(nanoseconds).unwrap_or(0) };
            guest.of_file(clock::nanoseconds(time))
        };
        Self {
            device: platform::device(stat),
            inode: stat.st_ino,
            file_type: file_type(HostType::from_raw_mode(stat.st_mode)),
            links: platform::links(stat),
            size: u64::try_from(stat.st_size).unwrap_or(0),
            accessed: time(stat.st_atime, stat.st_atime_nsec),
            modified: time(stat.st_mtime, stat.st_mtime_nsec),
            changed: time(stat.st_ctime, stat.st_ctime_nsec),
        }
    }

    /// The attributes of a list of granted files. No file system has the device number 0.
    pub(crate) const fn of_list(inode: u64) -> Self {
        let (device, links, size, accessed, modified, changed) = (0, 2, 0, 0, 0, 0);
        Self { device, inode, file_type: FileType::Directory, links, size, accessed, modified, changed }
    }

    /// `$filestat` of preview 1: device, inode, type, links (64 bits), size, three times.
    #[inline]
    pub(crate) fn to_bytes(self) -> [u8; SIZE as usize] {
        let mut words = [[0; 8]; 8];
        let [device, inode, file_type, links, size, accessed, modified, changed] = &mut words;
        *device = self.device.to_le_bytes();
        *inode = self.inode.to_le_bytes();
        // One byte of type, seven of padding that must not leak anything (T11).
        *file_type = u64::from(self.file_type.raw()).to_le_bytes();
        *links = self.links.to_le_bytes();
        *size = self.size.to_le_bytes();
        *accessed = self.accessed.to_le_bytes();
        *modified = self.modified.to_le_bytes();
        *changed = self.changed.to_le_bytes();
        flatten(&words)
    }

    /// `$filestat` of snapshot 0: the number of links has 32 bits and shares a word with the type.
    pub(crate) fn to_unstable_bytes(self) -> [u8; UNSTABLE_SIZE as usize] {
        let links = u64::from(u32::try_from(self.links).unwrap_or(u32::MAX));
        let type_and_links = u64::from(self.file_type.raw()) | links << 32;
        flatten(&[
            self.device.to_le_bytes(),
            self.inode.to_le_bytes(),
            type_and_links.to_le_bytes(),
            self.size.to_le_bytes(),
            self.accessed.to_le_bytes(),
            self.modified.to_le_bytes(),
            self.changed.to_le_bytes(),
        ])
    }
}

fn flatten<const N: usize>(words: &[[u8; 8]]) -> [u8; N] {
    let mut bytes = [0; N];
    for (place, word) in bytes.chunks_exact_mut(8).zip(words) {
        place.copy_from_slice(word);
    }
    bytes
}

/// The WASI name for a type of file.
pub(crate) const fn file_type(host: HostType) -> FileType {
    match host {
        HostType::RegularFile => FileType::RegularFile,
        HostType::Directory => FileType::Directory,
        HostType::Symlink => FileType::SymbolicLink,
        HostType::CharacterDevice => FileType::CharacterDevice,
        HostType::BlockDevice => FileType::BlockDevice,
        HostType::Socket => FileType::SocketStream,
        HostType::Fifo | HostType::Unknown => FileType::Unknown,
    }
}

/// The kind of an object that was opened through a grant.
///
/// # Errors
/// `NOTCAPABLE` for a device that is not in `devices` (T25), and for anything else but a file, directory or FIFO.
pub(crate) fn opened_kind(stat: &Stat, devices: &[u64]) -> Result<Kind, Errno> {
    match HostType::from_raw_mode(stat.st_mode) {
        HostType::RegularFile => Ok(Kind::RegularFile),
        HostType::Directory => Ok(Kind::Directory),
        HostType::Fifo => Ok(Kind::Pipe),
        HostType::CharacterDevice if devices.contains(&platform::node_device(stat)) => Ok(Kind::Device),
        _ => Err(Errno::NOTCAPABLE.because(Rule::Device)),
    }
}

/// The kind of a standard stream.
pub(crate) const fn stream_kind(stat: &Stat, terminal: bool) -> Kind {
    match HostType::from_raw_mode(stat.st_mode) {
        HostType::RegularFile => Kind::RegularFile,
        HostType::CharacterDevice if terminal => Kind::Terminal,
        HostType::CharacterDevice => Kind::Device,
        HostType::Fifo => Kind::Pipe,
        HostType::Socket => Kind::Stream,
        _ => Kind::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: FileStat = FileStat {
        device: 1,
        inode: 2,
        file_type: FileType::RegularFile,
        links: 3,
        size: 5,
        accessed: 6,
        modified: 7,
        changed: 8,
    };

    #[test]
    fn t11_every_byte_of_both_layouts_is_defined() {
        let bytes = SAMPLE.to_bytes();
        let words: Vec<_> = bytes.chunks(8).map(|w| u64::from_le_bytes(w.try_into().unwrap())).collect();
        assert_eq!(words, [1, 2, 4, 3, 5, 6, 7, 8]);
        let bytes = SAMPLE.to_unstable_bytes();
        assert_eq!(bytes[16..24], [4, 0, 0, 0, 3, 0, 0, 0]);
        assert_eq!(bytes[24], 5);
        assert_eq!(bytes[48], 8);
    }
}
