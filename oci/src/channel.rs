//! What the runtime and the process of the container say to each other while the container is created.

use serde::{Deserialize, Serialize};
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use wave_engine::Failure;

/// A message of the process. It waits for an answer after each but the last.
#[derive(Debug, Serialize, Deserialize)]
pub enum Message {
    /// The ids of its user namespace have to be mapped.
    MapIds,
    /// The process of the container has this number. It has not begun.
    Forked(i32),
    /// Its namespaces exist and its file systems are mounted.
    Mounted,
    /// Its program is loaded.
    Loaded,
    /// It seals itself and enters the program.
    Started,
    /// It cannot go on.
    Failed(Failure),
}

/// A longer message is not one of ours.
const MAX_BYTES: u32 = 1 << 20;

/// One end.
#[derive(Debug)]
pub struct Channel(UnixStream);

impl Channel {
    /// Both ends: the runtime's, and the process's.
    ///
    /// # Errors
    /// The kernel's.
    pub fn pair() -> io::Result<(Self, Self)> {
        let (one, other) = UnixStream::pair()?;
        Ok((Self(one), Self(other)))
    }

    /// Over a connection.
    pub fn over(stream: UnixStream) -> Self {
        Self(stream)
    }

    /// Sends a message.
    ///
    /// # Errors
    /// If the other end is gone.
    pub fn send(&mut self, message: &Message) -> io::Result<()> {
        let bytes = serde_json::to_vec(message)?;
        let len = u32::try_from(bytes.len()).map_err(io::Error::other)?;
        self.0.write_all(&[&len.to_le_bytes()[..], &bytes].concat())
    }

    /// Receives a message. `None` if the other end is gone.
    ///
    /// # Errors
    /// If what was sent is no message.
    pub fn receive(&mut self) -> io::Result<Option<Message>> {
        let mut len = [0; 4];
        match self.0.read_exact(&mut len) {
            Err(error) if matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset) => {
                return Ok(None);
            }
            outcome => outcome?,
        }
        let len = u32::from_le_bytes(len);
        if len > MAX_BYTES {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut bytes = vec![0; len as usize];
        self.0.read_exact(&mut bytes)?;
        Ok(Some(serde_json::from_slice(&bytes)?))
    }

    /// Answers that the process may go on.
    ///
    /// # Errors
    /// If it is gone.
    pub fn allow(&mut self) -> io::Result<()> {
        self.0.write_all(&[1])
    }

    /// Sends a message and waits until the runtime answers.
    ///
    /// # Errors
    /// If the runtime is gone: nobody wants this process.
    pub fn ask(&mut self, message: &Message) -> Result<(), Failure> {
        let gone = |error: io::Error| Failure::refused(format!("the runtime has ended: {error}"));
        self.send(message).map_err(gone)?;
        self.wait()
    }

    /// Waits until the runtime answers.
    ///
    /// # Errors
    /// As [`ask`](Self::ask).
    pub fn wait(&mut self) -> Result<(), Failure> {
        let gone = |error: io::Error| Failure::refused(format!("the runtime has ended: {error}"));
        self.0.read_exact(&mut [0]).map_err(gone)
    }
}
