//! What the runtime and the process of the container say to each other while the container is created.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use wave_engine::Failure;

/// A message of the process. It waits for an answer after each but the last.
#[derive(Debug, Serialize, Deserialize)]
pub enum Message {
    /// The ids of its user namespace have to be mapped.
    MapIds,
    /// The process of the container has this number, in a user namespace. It has not begun.
    Forked(i32),
    /// Its namespaces exist and its file systems are mounted, and the runtime has hooks for that moment.
    Mounted,
    /// Its program is loaded.
    Loaded,
    /// It seals itself and enters the program.
    Started,
    /// It cannot go on.
    Failed(Failure),
}

/// What the runtime answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The process may go on. Once its program is loaded, it waits for `start`.
    GoOn = 1,
    /// Its program is started now.
    Start = 2,
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

    /// Sends a message, or to the process its cgroup.
    ///
    /// # Errors
    /// If the other end is gone.
    pub fn send(&mut self, message: &impl Serialize) -> io::Result<()> {
        let bytes = serde_json::to_vec(message)?;
        let len = u32::try_from(bytes.len()).map_err(io::Error::other)?;
        self.0.write_all(&[&len.to_le_bytes()[..], &bytes].concat())
    }

    /// Receives what was sent. `None` if the other end is gone.
    ///
    /// # Errors
    /// If it is something else.
    pub fn receive<T: DeserializeOwned>(&mut self) -> io::Result<Option<T>> {
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

    /// Answers a message.
    ///
    /// # Errors
    /// If the process is gone.
    pub fn answer(&mut self, answer: Answer) -> io::Result<()> {
        self.0.write_all(&[answer as u8])
    }

    /// Sends a message and waits until the runtime answers.
    ///
    /// # Errors
    /// If the runtime is gone: nobody wants this process.
    pub fn ask(&mut self, message: &Message) -> Result<Answer, Failure> {
        let gone = |error: io::Error| Failure::refused(format!("the runtime has ended: {error}"));
        self.send(message).map_err(gone)?;
        self.wait()
    }

    /// Waits until the runtime answers.
    ///
    /// # Errors
    /// As [`ask`](Self::ask).
    pub fn wait(&mut self) -> Result<Answer, Failure> {
        let gone = |error: io::Error| Failure::refused(format!("the runtime has ended: {error}"));
        let mut answer = [0];
        self.0.read_exact(&mut answer).map_err(gone)?;
        let known = [Answer::GoOn, Answer::Start].into_iter().find(|known| [*known as u8] == answer);
        known.ok_or_else(|| gone(io::ErrorKind::InvalidData.into()))
    }

    /// Waits until the program is entered.
    ///
    /// # Errors
    /// The failure of the process.
    pub fn await_start(&mut self, id: &str) -> Result<(), Failure> {
        let refuse =
            |error: io::Error| Failure::refused(format!("cannot start `{id}`: its process does not answer: {error}"));
        match self.receive().map_err(refuse)? {
            Some(Message::Started) => Ok(()),
            Some(Message::Failed(failure)) => Err(failure),
            _ => Err(refuse(io::ErrorKind::UnexpectedEof.into())),
        }
    }
}
