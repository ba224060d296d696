//! The attacks, by what they are after.

mod entries;
mod files;
mod kernel;
mod memory;
mod network;
mod privileges;
mod processes;

use crate::probe::Probe;

pub use files::has_protected_links;

pub const FILES: &str = "Files";
pub const NETWORK: &str = "Network";
pub const MEMORY: &str = "Memory and code";
pub const PROCESSES: &str = "Other processes and programs";
pub const PRIVILEGES: &str = "Privileges and the layers themselves";
pub const KERNEL: &str = "Other parts of the kernel";
pub const ENTRIES: &str = "Other ways into the kernel";

/// In the order of the document.
pub const SECTIONS: [&str; 7] = [FILES, NETWORK, MEMORY, PROCESSES, PRIVILEGES, KERNEL, ENTRIES];

pub fn all() -> Vec<Probe> {
    let attacks = [
        files::attacks(),
        network::attacks(),
        memory::attacks(),
        processes::attacks(),
        privileges::attacks(),
        kernel::attacks(),
        entries::attacks(),
    ];
    let in_section = |(section, attacks): (&'static str, Vec<Probe>)| {
        attacks.into_iter().map(move |probe| Probe { section, ..probe })
    };
    SECTIONS.into_iter().zip(attacks).flat_map(in_section).collect()
}
