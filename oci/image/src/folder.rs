//! The directory of a layout. Nothing in it is reached through a link, and only regular files are read.

use crate::image::MAX_DOCUMENT_BYTES;
use crate::problem::{Kind, Problem};
use crate::schema::{self, LAYOUT_VERSION, LayoutFile};
use rustix::fs::{Mode, OFlags, open, openat};
use rustix::io::Errno;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

/// The directory of a layout.
pub struct Folder {
    pub(crate) fd: OwnedFd,
}

/// Flags of every directory beneath a layout.
pub const BELOW: OFlags = OFlags::DIRECTORY.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

impl Folder {
    /// Opens a directory, which may be reached through links: its path is what the user typed.
    pub fn open(path: &Path) -> Result<Self, Problem> {
        match open(path, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()) {
            Ok(fd) => Ok(Self { fd }),
            Err(Errno::NOENT) => Err(Problem::new(Kind::Missing, "there is no such directory")
                .fix("check the path; it is oci:DIR or oci:DIR:TAG")),
            Err(Errno::NOTDIR) => Err(Problem::invalid("it is no directory")
                .fix("an archive becomes a layout by `skopeo copy oci-archive:FILE oci:DIR:TAG`")),
            Err(errno) => Err(unread(errno.into())),
        }
    }

    /// Checks that this is a layout, of the version that is supported.
    pub fn check_version(&self) -> Result<(), Problem> {
        const FILE: &str = "oci-layout";
        let bytes = self.read(&[FILE], MAX_DOCUMENT_BYTES).map_err(|problem| match problem.kind {
            Kind::Missing => {
                Problem::new(Kind::Missing, "the directory is no OCI image layout: it has no file `oci-layout`")
            }
            _ => problem,
        })?;
        let layout: LayoutFile = schema::read(&bytes, FILE)?;
        let version = layout.image_layout_version;
        if version != LAYOUT_VERSION {
            return Err(Problem::invalid(format!(
                "the layout has version `{version}`, and {LAYOUT_VERSION} is supported"
            ))
            .at(FILE));
        }
        Ok(())
    }

    /// Reads the file that these names lead to: at most `most` bytes.
    pub fn read(&self, names: &[&str], most: u64) -> Result<Vec<u8>, Problem> {
        self.read_file(names, most).map_err(|problem| problem.at(names.join("/")))
    }

    fn read_file(&self, names: &[&str], most: u64) -> Result<Vec<u8>, Problem> {
        let (name, directories) = names.split_last().unwrap_or((&"", &[]));
        let mut dir = None::<OwnedFd>;
        for name in directories {
            let below = openat(dir.as_ref().unwrap_or(&self.fd), *name, BELOW, Mode::empty());
            dir = Some(below.map_err(|errno| refused(errno, "a directory"))?);
        }
        let dir = dir.as_ref().unwrap_or(&self.fd);
        // Opening a FIFO would wait for its writer.
        let flags = OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        let file =
            openat(dir.as_fd(), *name, flags, Mode::empty()).map_err(|errno| refused(errno, "a regular file"))?;
        read_regular(&File::from(file), most)
    }
}

fn read_regular(file: &File, most: u64) -> Result<Vec<u8>, Problem> {
    let metadata = file.metadata().map_err(unread)?;
    if !metadata.is_file() {
        return Err(Problem::invalid("it is not a regular file"));
    }
    if metadata.len() > most {
        return Err(too_large(metadata.len(), most));
    }
    let mut bytes = Vec::new();
    // One byte more, so that reading finds the end without another allocation.
    bytes.reserve_exact(usize::try_from(metadata.len()).unwrap_or(0) + 1);
    file.take(most.saturating_add(1)).read_to_end(&mut bytes).map_err(unread)?;
    if bytes.len() as u64 > most { Err(too_large(bytes.len() as u64, most)) } else { Ok(bytes) }
}

fn too_large(found: u64, most: u64) -> Problem {
    Problem::invalid(format!("it has {found} bytes, and at most {most} are read"))
}

/// A file or directory that could not be opened without following a link.
fn refused(errno: Errno, expected: &str) -> Problem {
    match errno {
        Errno::NOENT => Problem::new(Kind::Missing, "it is missing from the layout").fix("copy the whole image again"),
        Errno::LOOP | Errno::NOTDIR => Problem::invalid(format!("it is not {expected}, and links are not followed"))
            .fix("copy the layout without links: `cp -rL` or `skopeo copy`"),
        // A socket.
        Errno::NXIO => Problem::invalid(format!("it is not {expected}")),
        errno => unread(errno.into()),
    }
}

fn unread(error: io::Error) -> Problem {
    Problem::invalid(format!("it cannot be read: {error}"))
}
