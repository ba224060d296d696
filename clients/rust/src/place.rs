//! Where `wave` writes the outcome: a file in a directory that only this user can enter.

use std::fs::{self, DirBuilder, File};
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Read};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// The most that is read of an outcome. The longest that `wave` writes is shorter.
const OUTCOME_BYTES: u64 = 4 << 20;

/// How often another name is tried.
const TRIES: u32 = 100;

/// The directory, which is removed with the value.
#[derive(Debug)]
pub struct Place {
    dir: PathBuf,
}

impl Place {
    /// Creates the directory.
    ///
    /// # Errors
    /// If `parent` takes no new directory.
    pub fn new(parent: &Path) -> io::Result<Self> {
        for _ in 0..TRIES {
            let name = RandomState::new().hash_one(std::process::id());
            let dir = parent.join(format!("wave-{name:016x}"));
            // An existing directory is never used: somebody else could have created it.
            match DirBuilder::new().mode(0o700).create(&dir) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                created => return created.map(|()| Self { dir }),
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }

    /// The file.
    pub fn file(&self) -> PathBuf {
        self.dir.join("outcome.json")
    }

    /// What was written; empty if nothing was.
    ///
    /// # Errors
    /// If it cannot be read, or is no text.
    pub fn read(&self) -> io::Result<String> {
        let mut text = String::new();
        match File::open(self.file()) {
            Ok(file) => file.take(OUTCOME_BYTES).read_to_string(&mut text).map(|_| text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(text),
            Err(error) => Err(error),
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // Nobody is left to hear that it failed, and the directory has nothing that is secret.
        drop(fs::remove_dir_all(&self.dir));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn the_directory_is_private_and_goes_with_the_value() {
        let place = Place::new(&std::env::temp_dir()).unwrap();
        let dir = place.dir.clone();
        assert_eq!(fs::metadata(&dir).unwrap().permissions().mode() & 0o7777, 0o700);
        assert_eq!(place.read().unwrap(), "");
        fs::write(place.file(), "x").unwrap();
        assert_eq!(place.read().unwrap(), "x");
        drop(place);
        assert!(!dir.exists());
    }

    #[test]
    fn no_more_is_read_than_an_outcome_can_have() {
        let place = Place::new(&std::env::temp_dir()).unwrap();
        fs::write(place.file(), vec![b' '; 5 << 20]).unwrap();
        assert_eq!(place.read().unwrap().len() as u64, OUTCOME_BYTES);
    }
}
