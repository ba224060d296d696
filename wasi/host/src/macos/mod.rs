//! What macOS has in another form than Linux. No part of it has run on macOS (docs/macos.md). What POSIX offers everywhere is
//! tested on Linux; `effects` is what only macOS has.

#[cfg(target_os = "macos")]
mod effects;
mod errno;
mod listing;
mod resolve;

#[cfg(target_os = "macos")]
pub(crate) use effects::*;
#[cfg(target_os = "macos")]
pub(crate) use listing::Listing;
#[cfg(target_os = "macos")]
pub(crate) use resolve::{DIRECTORY, unlink};

#[cfg(all(test, target_os = "linux"))]
mod tests;
