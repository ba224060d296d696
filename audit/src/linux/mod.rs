//! What takes Linux.

mod bpf;
mod object;

pub use bpf::listing;
pub use object::find_object;
