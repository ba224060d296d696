//! What this platform alone offers.

pub use super::launch::{enter, is_inside};
