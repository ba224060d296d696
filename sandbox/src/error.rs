//! Why a policy could not be enforced, a process not started, or a worker not sealed.

use std::io;

use crate::ended::Ended;
use crate::report::LayerName;
use crate::seatbelt::ProfileError;

/// A layer that the policy requires could not be applied. No guest code has run, and none may: some layers may be applied already.
#[derive(Debug, thiserror::Error)]
#[error("cannot apply the layer `{layer}`")]
pub struct SealError {
    /// The layer that is missing.
    pub layer: LayerName,
    /// Why it is missing.
    #[source]
    pub cause: Cause,
    pub(crate) fix: &'static str,
}

impl SealError {
    /// What the user can do: usually, the flag that accepts a run without the layer.
    pub fn fix(&self) -> &'static str {
        self.fix
    }
}

/// The error of another crate.
type Source = Box<dyn std::error::Error + Send + Sync>;

/// Why a layer could not be applied.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Cause {
    /// The kernel refused a system call.
    #[error("the kernel refused {call}")]
    Refused {
        /// The call, as its manual page names it.
        call: &'static str,
        /// The kernel's error.
        source: io::Error,
    },
    /// The kernel accepted a step and reports afterwards that it had no effect.
    #[error("{0} is still there afterwards")]
    StillThere(&'static str),
    /// Threads would stay outside of the layers.
    #[error("the process has {0} threads, the seal covers one")]
    Threads(usize),
    /// The allocator refused a setting.
    #[error("the allocator refused a setting")]
    Allocator,
    /// The location of the arguments is unknown.
    #[error("the start of the process did not say where its arguments lie")]
    Arguments,
    /// The process would keep the rights of root.
    #[error("the process is root, and {0}")]
    Root(&'static str),
    /// The process is root and cannot become another user.
    #[error("the process is root without {0}, so it cannot become another user")]
    RootWithout(&'static str),
    /// An ordinary user cannot become another one.
    #[error("the process is not root, so it cannot become another user")]
    NotRoot,
    /// The kernel accepted a step, and its effect cannot be confirmed.
    #[error("{0} cannot be seen: {1}")]
    Unseen(&'static str, &'static str),
    /// The kernel is older than the policy needs, or Landlock is off.
    #[error("the kernel has Landlock ABI {found}, this level needs {needed}")]
    LandlockTooOld {
        /// What the kernel reports; 0 if Landlock is off.
        found: i32,
        /// The lowest ABI that can express every rule.
        needed: i32,
    },
    /// Landlock refused the ruleset.
    #[error("the kernel refused the Landlock ruleset")]
    Ruleset(#[source] Source),
    /// The ruleset that was made differs from the policy's grants.
    #[error("the Landlock ruleset that was made is not the one that the policy describes: {0}")]
    RulesetDiffers(String),
    /// The kernel accepted the ruleset and does not enforce it.
    #[error("the self-test reached {0}, which is not granted")]
    SelfTest(&'static str),
    /// The filter could not be built.
    #[error("the system-call filter could not be built")]
    Filter(#[source] Source),
    /// The filter that was built differs from the policy's rules.
    #[error("the system-call filter that was built is not the one that the policy describes")]
    FilterDiffers(#[source] Source),
    /// The kernel refused the filter.
    #[error("the kernel refused the system-call filter")]
    Install(#[source] Source),
    /// The kernel refused the filter of [`SealPlan::outer_filter`](crate::SealPlan::outer_filter).
    #[error("the kernel refused the container's own filter")]
    OuterFilter(#[source] Source),
    /// The policy names root as the user or group to become.
    #[error("the policy names root as the user to become")]
    NamedRoot,
    /// `SealPlan::grants` is not `Policy::grants`, opened: a bug of the caller.
    #[error("the opened grants are not those of the policy")]
    Grants,
    /// The kernel accepted the filter, and a call passes that the filter must fail.
    #[error("the self-test of the system-call filter got no answer from it")]
    FilterSelfTest,
    /// [`SealPlan::failing`](crate::SealPlan::failing) names the layer.
    #[error("a fault was injected")]
    Injected,
    /// This platform does not have what it takes.
    #[error("wave cannot {0} on {1}")]
    Platform(&'static str, &'static str),
    /// The policy cannot be written as a Seatbelt profile.
    #[error("the policy cannot be written as a Seatbelt profile")]
    Profile(#[from] ProfileError),
}

#[allow(dead_code, reason = "platforms without a kernel layer make no system calls of their own")]
impl Cause {
    /// A call that the kernel refused with this error.
    pub(crate) fn refused<E: Into<io::Error>>(call: &'static str) -> impl FnOnce(E) -> Self {
        move |error| Self::Refused { call, source: error.into() }
    }

    /// The cause with all its sources, in one line.
    pub(crate) fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut next = std::error::Error::source(self);
        while let Some(error) = next {
            let more = error.to_string();
            // Errors of `landlock` repeat their source.
            if !text.ends_with(&more) {
                text = format!("{text}: {more}");
            }
            next = error.source();
        }
        text
    }
}

/// Why a process cannot reset what it inherited.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The program has rights that the user who executes it does not have, as by its set-user-ID bit.
    #[error("this program gives any user who starts it {0}, and it is not built to protect them")]
    Privileged(&'static str),
    /// The program must be executed again without an inherited setting, and this failed.
    #[error("cannot execute the program again without {what}, which it inherited")]
    Again {
        /// The inherited setting.
        what: &'static str,
        /// The kernel's error.
        source: io::Error,
    },
    /// The kernel refused to change or to report an inherited setting.
    #[error("cannot reset the inherited state")]
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

/// Why there is no sealed worker.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WorkerError {
    /// It could not be started.
    #[error("cannot start a process")]
    Start(#[source] Cause),
    /// It could not be sealed as its policy requires.
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
