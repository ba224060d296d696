//! What this platform alone offers.

pub use super::launch::{enter, is_inside};
pub use super::probe::probe;
pub use super::seal::refuse_strict;
