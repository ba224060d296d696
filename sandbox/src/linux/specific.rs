//! What this platform alone offers.

pub use super::bpf::{Instruction, SystemCall, evaluate};
pub use super::container;
pub use super::filter_check::Difference;
pub use super::identity::unused_identity;
pub use super::landlock::levels::{Below, LEVELS as LANDLOCK_LEVELS, LandlockLevel};
pub use super::narrower;
pub use super::probe::{landlock_abi, landlock_leaves_truncation, probe};
pub use super::seccomp::profile::{
    SeccompAction, SeccompArgument, SeccompFlag, SeccompOperator, SeccompProblem, SeccompProfile, SeccompProfileError,
    SeccompRule,
};
pub use super::seccomp::{check_filter, filter, filter_on};
