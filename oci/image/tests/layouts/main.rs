//! Layouts, good and hostile, and what is read from them and written to them.
#![forbid(unsafe_code)]

mod blobs;
mod documents;
mod fuzz;
mod layers;
mod layout;
mod pack;
