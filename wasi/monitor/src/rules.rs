//! The rules a refusal can follow from.

use crate::LimitName;

/// Which rule of the policy an [`Errno`](crate::Errno) follows from.
///
/// The guest never sees it: it is there for traces and for the text of a denial.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Rule {
    /// None: a malformed argument.
    #[default]
    None,
    /// None: the effect was admitted, and the host could not do it.
    Host,
    /// The descriptor lacks the right: it was not asked for, it was dropped, or what the
    /// descriptor refers to has no such right (T22).
    Right,
    /// The grant is read-only and this would change something (T21).
    ReadOnly,
    /// The grant is append-only and this would change what is there already.
    AppendOnly,
    /// The path is absolute, or climbs out of the directory it starts from (T14).
    Beneath,
    /// The symbolic link to be made says an absolute path (T19).
    AbsoluteLink,
    /// The directory is a list of granted files, and this is none of them, or would change the list.
    Listed,
    /// The granted file's name now leads to another file (T23).
    Replaced,
    /// The file lies on a file system that exposes the kernel, such as procfs (T24).
    KernelInterface,
    /// What the path leads to is a device or a socket (T25).
    Device,
    /// The stream is inherited, so its flags belong to whoever shares it (T35).
    Inherited,
    /// The clock tells about the host (T114).
    Clock,
    /// The signal would stop the run, and nobody could resume it.
    Signal,
    /// A limit is reached (T34, T107 to T110).
    Limit(LimitName),
    /// The peer's address matches no rule (T41).
    Peer,
    /// No rule allows a connection to the address and port (T37 to T47).
    Connect,
    /// No rule names the host that is looked up (T46).
    Name,
}

impl Rule {
    /// The reason, as it reads after "denied: ".
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::None => "the call itself is at fault",
            Self::Host => "the host could not do it",
            Self::Right => "the descriptor lacks the right",
            Self::ReadOnly => "the grant is read-only",
            Self::AppendOnly => "the grant is append-only",
            Self::Beneath => "the path leads out of the granted directory",
            Self::AbsoluteLink => "the link would say an absolute path",
            Self::Listed => "only granted files are in this directory",
            Self::Replaced => "another file has taken the place of the granted one",
            Self::KernelInterface => "the file system is an interface of the kernel",
            Self::Device => "the path leads to a device or a socket",
            Self::Inherited => "the stream is shared with whoever started the run",
            Self::Clock => "the processor time of the host is not shown",
            Self::Signal => "a stopped run could not be resumed",
            Self::Limit(limit) => limit.text(),
            Self::Peer => "no rule admits the address of the peer",
            Self::Connect => "no rule admits a connection to the address",
            Self::Name => "no rule names the host",
        }
    }

    /// The name of the limit it is, as a policy has it: a larger one would allow the call.
    #[must_use]
    pub const fn limit(self) -> Option<&'static str> {
        match self {
            Self::Limit(limit) => Some(limit.name()),
            _ => None,
        }
    }
}
