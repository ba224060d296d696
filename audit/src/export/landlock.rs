//! The Landlock ruleset.

use wave_policy::Policy;
use wave_policy::clean;

/// Lists the ruleset. The names of rights are those of `landlock(7)`.
pub(super) fn ruleset(policy: &Policy) -> String {
    let mut text = "\
# Handled: every right that the kernel knows, so anything not listed below is denied. Files and directories from ABI 1; `refer`
# from ABI 2; `truncate` from ABI 3, which `strict` asks for; TCP from ABI 4; signals and abstract sockets from ABI 6. TCP has no
# rule: listening sockets are opened before. A single file has only read_file, write_file and truncate of its rights.
"
    .to_owned();
    if policy.grants.is_empty() {
        text += "# No rule: nothing can be opened.\n";
    }
    for (index, grant) in policy.grants.iter().enumerate() {
        let host = grant.host.display().to_string();
        let rights = grant.access.landlock_rights().join(", ");
        text += &format!("fs[{index}] path_beneath {:?}: {rights}\n", clean(&host));
    }
    text
}
