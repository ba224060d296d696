//! Which module is in a file, noted so that a large file need not be read again to tell.
//!
//! A note speaks of a file as it was at one time: where it is and when it changed last, which the kernel sets and no program
//! can. Like code, it counts with this user's tag only.

use super::directory::{Directory, note_use};
use std::fs::Metadata;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use wave_contract::digest::Digest;
use wave_verifier::Key;

/// What tags of notes are for, and nothing else is.
const PURPOSE: &str = "wave 2026-11 which module is in a file";

/// Names of notes begin so.
pub const PREFIX: &str = "seen-";

/// Within this time, a file can change twice and say the same time: clocks of file systems are coarse.
const UNCERTAIN: Duration = Duration::from_secs(3);

/// A file as it was at one time.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Version(Digest);

impl Version {
    /// `None` for a file that has just changed: if it did again, this would not tell.
    pub fn of(file: &Metadata) -> Option<Self> {
        let changed = Duration::from_secs(u64::try_from(file.ctime()).ok()?);
        if SystemTime::now().duration_since(UNIX_EPOCH + changed).ok()? <= UNCERTAIN {
            return None;
        }
        let numbers = [file.dev(), file.ino(), file.size()];
        let times = [file.mtime(), file.mtime_nsec(), file.ctime(), file.ctime_nsec()];
        let mut hasher = blake3::Hasher::new();
        for bytes in numbers.map(u64::to_le_bytes).iter().chain(&times.map(i64::to_le_bytes)) {
            hasher.update(bytes);
        }
        Some(Self(*hasher.finalize().as_bytes()))
    }

    fn name(&self) -> String {
        format!("{PREFIX}{}", blake3::Hash::from_bytes(self.0))
    }

    fn tag(&self, module: &Digest, key: &Key) -> blake3::Hash {
        key.tag_for(PURPOSE, &[self.0, *module].concat())
    }

    /// The digest of what the file holds, if it was noted.
    pub fn module(&self, directory: &Directory, key: &Key) -> Option<Digest> {
        let (file, stat) = directory.read(&self.name()).ok()?;
        let mut bytes = [0; 2 * size_of::<Digest>()];
        (&file).read_exact(&mut bytes).ok()?;
        let (module, tag) = bytes.split_first_chunk()?;
        // In constant time.
        let is_ours = self.tag(module, key) == blake3::Hash::from_bytes(tag.try_into().ok()?);
        if is_ours {
            note_use(&file, &stat);
        }
        is_ours.then_some(*module)
    }

    /// What the bytes of a note are, and its name.
    pub fn note(&self, module: &Digest, key: &Key) -> (String, Vec<u8>) {
        (self.name(), [*module, *self.tag(module, key).as_bytes()].concat())
    }
}
