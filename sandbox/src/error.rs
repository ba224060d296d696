//! Why a policy could not be put in force.

use std::io;

use crate::LayerName;

/// A layer the policy demands could not be put in force. No guest code has run, and none may: some layers may be
/// in force already.
#[derive(Debug, thiserror::Error)]
#[error("cannot put the layer `{layer}` in force")]
pub struct SealError {
    /// The layer that is missing.
    pub layer: LayerName,
    /// Why it is missing.
    #[source]
    pub cause: Cause,
    pub(crate) fix: &'static str,
}

impl SealError {
    /// What the user can do: as a rule, the flag that accepts a run without the layer.
    pub fn fix(&self) -> &'static str {
        self.fix
    }
}

/// What a crate below said.
type Source = Box<dyn std::error::Error + Send + Sync>;

/// Why a layer could not be put in force.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Cause {
    /// The kernel refused a system call.
    #[error("the kernel refused {call}")]
    Refused {
        /// The call, as a manual page would name it.
        call: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
    /// What the kernel reports afterwards is not what was asked for.
    #[error("{0} is still there afterwards")]
    StillThere(&'static str),
    /// Threads would stay outside of the layers.
    #[error("the process has {0} threads, the seal covers one")]
    Threads(usize),
    /// The allocator did not take a setting.
    #[error("the allocator refused a setting")]
    Allocator,
    /// Where the arguments lie is not known.
    #[error("the start of the process did not say where its arguments lie")]
    Arguments,
    /// The process would keep the powers of root.
    #[error("the process is root, and {0}")]
    Root(&'static str),
    /// Root that cannot become anybody else.
    #[error("the process is root without {0}, so it cannot become another user")]
    RootWithout(&'static str),
    /// An ordinary user cannot become another one.
    #[error("the process is not root, so it cannot become another user")]
    NotRoot,
    /// A step that the kernel let pass can be seen nowhere.
    #[error("{0} cannot be seen: {1}")]
    Unseen(&'static str, &'static str),
    /// The kernel is older than the policy asks for, or has Landlock switched off.
    #[error("the kernel has Landlock ABI {found}, this level needs {needed}")]
    LandlockTooOld {
        /// What the kernel reports; 0 when Landlock is off.
        found: i32,
        /// The lowest ABI that holds every rule.
        needed: i32,
    },
    /// Landlock refused the ruleset.
    #[error("the kernel refused the Landlock ruleset")]
    Ruleset(#[source] Source),
    /// The ruleset is in force but does not hold.
    #[error("the self-test reached {0}, which is not granted")]
    SelfTest(&'static str),
    /// The filter could not be built.
    #[error("the system-call filter could not be built")]
    Filter(#[source] Source),
    /// The filter that was built is another than the policy's rules.
    #[error("the system-call filter that was built is not the one that the policy describes")]
    FilterDiffers(#[source] Source),
    /// The kernel refused the filter.
    #[error("the kernel refused the system-call filter")]
    Install(#[source] Source),
    /// The policy names root as the user or group to become.
    #[error("the policy names root as the user to become")]
    NamedRoot,
    /// `SealPlan::grants` is not `Policy::grants`, opened: a bug of the caller.
    #[error("the opened grants are not those of the policy")]
    Grants,
    /// The filter is in force by the kernel's word, but lets a call pass that it must answer.
    #[error("the self-test of the system-call filter got no answer from it")]
    FilterSelfTest,
    /// [`SealPlan::failing`](crate::SealPlan::failing) names the layer.
    #[error("a fault was injected")]
    Injected,
    /// There is no kernel layer on this platform.
    #[error("wave has no kernel layer on {0}")]
    Platform(&'static str),
    /// The policy cannot be written as a Seatbelt profile.
    #[error("the policy cannot be written as a Seatbelt profile")]
    Profile(#[from] crate::seatbelt::ProfileError),
}

#[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "other platforms make no system calls of their own"))]
impl Cause {
    pub(crate) fn refused<E: Into<io::Error>>(call: &'static str) -> impl FnOnce(E) -> Self {
        move |error| Self::Refused { call, source: error.into() }
    }

    /// Whether it is that no more descriptors may be open.
    pub(crate) fn lacks_descriptors(&self) -> bool {
        let mut next: Option<&(dyn std::error::Error + 'static)> = Some(self);
        while let Some(error) = next {
            let number = error.downcast_ref::<io::Error>().and_then(io::Error::raw_os_error);
            if number.is_some_and(|number| number == libc::EMFILE || number == libc::ENFILE) {
                return true;
            }
            next = error.source();
        }
        false
    }

    /// The cause with all its sources, in one line.
    pub(crate) fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut next = std::error::Error::source(self);
        while let Some(error) = next {
            let more = error.to_string();
            // `landlock` errors repeat their source.
            if !text.ends_with(&more) {
                text = format!("{text}: {more}");
            }
            next = error.source();
        }
        text
    }
}

/// Why a process cannot start from a known state.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The program gives whoever executes it rights that he does not have, as by its set-user-ID bit.
    #[error("this program gives whoever starts it {0}, and was not made to be trusted with that")]
    Privileged(&'static str),
    /// What the parent left behind ends with the program that is executed, and it could not be executed again.
    #[error("cannot start again without {what}, which the parent left")]
    Again {
        /// What it is.
        what: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
    /// The kernel refused to set or to tell something.
    #[error("cannot start from a known state")]
    State(#[source] Cause),
}

impl StartError {
    /// What the user can do.
    pub fn fix(&self) -> &'static str {
        match self {
            Self::Privileged(_) => {
                "take the set-user-ID and set-group-ID bits and the file capabilities from it (chmod ug-s, setcap -r)"
            }
            Self::Again { .. } => "start it without: unset GLIBC_TUNABLES, no setarch; /proc must be mounted",
            Self::State(_) => "let the sandbox around it permit that call",
        }
    }
}

impl From<Cause> for StartError {
    fn from(cause: Cause) -> Self {
        Self::State(cause)
    }
}

/// Why there is no sealed worker, or none any more.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WorkerError {
    /// It could not be started.
    #[error("cannot start a process")]
    Start(#[source] Cause),
    /// It could not be sealed as its policy demands.
    #[error("{message}")]
    Seal {
        /// The layer that is missing, and why.
        message: String,
        /// What the user can do.
        fix: String,
    },
    /// It ended before it was sealed.
    #[error("{0}")]
    Ended(Ended),
}

/// How a worker ended, other than by doing its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Ended {
    /// Its time was up.
    #[error("its time was up")]
    Timeout,
    /// It may have no more memory.
    #[error("it used up its memory")]
    Memory,
    /// It made a system call that its filter refuses.
    #[error("it made a system call that is refused to it")]
    Denied,
    /// It exited with this status.
    #[error("exit status {0}")]
    Status(i32),
    /// This signal killed it.
    #[error("signal {0}")]
    Signal(i32),
    /// It hung up, or its answer makes no sense.
    #[error("it gave no answer that makes sense")]
    Silent,
}

/// A process that was waited for.
#[derive(Debug)]
pub struct Supervised {
    /// How it ended.
    pub ended: Ended,
    /// What it wrote to the memory it was given. As untrusted as what it worked on.
    pub left: &'static [u8],
}
