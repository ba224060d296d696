//! The Seatbelt profile of macOS.

use std::path::Path;
use wave_engine::Failure;
use wave_policy::Policy;
use wave_sandbox::seatbelt::{Startup, profile};

/// What the profile leaves out.
pub(super) const NOTE: &str = "\
wave: note: this is for `wave` at /usr/local/bin/wave; the module and the policy that it reads are not in it
wave: note: macOS has no filter of system calls, and no Mac has read such a profile yet: docs/macos.md
";

/// Where the program is that the profile is for.
const PROGRAM: &str = "/usr/local/bin/wave";

/// Writes the profile: what `--sandbox standard` enforces on macOS. A policy grants directories only.
///
/// # Errors
/// 125 for a path that has no form in the language.
pub(super) fn text(policy: &Policy, place: &Path) -> Result<String, Failure> {
    let refuse = |what: String| {
        Failure::refused(format!("the policy cannot be written as a Seatbelt profile: {what}"))
            .at(place.display().to_string())
            .fix("write the path of the directory as `realpath` prints it")
    };
    let mut policy = policy.clone();
    for grant in &mut policy.grants {
        grant.host = std::path::absolute(&grant.host).map_err(|error| refuse(error.to_string()))?;
    }
    let startup = Startup { program: Path::new(PROGRAM), inputs: &[], ways: &[] };
    profile(&policy, startup, |_| true).map_err(|error| refuse(error.to_string()))
}
