//! The rules a refusal can follow from.

/// Which rule of the policy an [`Errno`](crate::Errno) follows from.
///
/// The guest never sees it: it is there for traces and for the text of a denial.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[repr(u8)]
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
    /// [`Limits::open_files`](crate::Limits::open_files) (T34).
    OpenFiles,
    /// [`Limits::file_size_bytes`](crate::Limits::file_size_bytes) (T110).
    FileSize,
    /// [`Limits::written_bytes`](crate::Limits::written_bytes) (T110).
    Written,
    /// [`Limits::entries`](crate::Limits::entries) (T110).
    Entries,
    /// [`Limits::output_bytes`](crate::Limits::output_bytes) (T110).
    Output,
    /// [`Limits::call_bytes`](crate::Limits::call_bytes) (T109).
    CallBytes,
    /// [`Limits::subscriptions`](crate::Limits::subscriptions) (T109).
    Subscriptions,
    /// The peer's address matches no rule (T41).
    Peer,
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
            Self::KernelInterface => "the file system is an interface of the kernel",
            Self::Device => "the path leads to a device or a socket",
            Self::Inherited => "the stream is shared with whoever started the run",
            Self::Clock => "the processor time of the host is not shown",
            Self::Signal => "a stopped run could not be resumed",
            Self::OpenFiles => "the limit on open descriptors is reached",
            Self::FileSize => "the limit on the size of a file is reached",
            Self::Written => "the limit on bytes written to files is reached",
            Self::Entries => "the limit on names made in directories is reached",
            Self::Output => "the limit on bytes written to standard streams is reached",
            Self::CallBytes => "the limit on bytes moved by one call is exceeded",
            Self::Subscriptions => "the limit on subscriptions of one call is exceeded",
            Self::Peer => "no rule admits the address of the peer",
        }
    }
}
