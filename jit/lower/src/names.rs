//! Names of imports in the lowered module.

/// The name of an interface with its version cut to the part that says what it is compatible with.
pub fn compatible(name: &str) -> String {
    let Some((base, version)) = name.rsplit_once('@') else { return name.to_owned() };
    let Some(version) = compatible_version(version) else { return name.to_owned() };
    format!("{base}@{version}")
}

/// `0.2.4` and `0.2.0` become `0.2`, `1.3.0` becomes `1`, `0.0.7` stays. So do versions before a release.
fn compatible_version(version: &str) -> Option<String> {
    // What follows `+` is no part of the order of versions.
    let version = version.split('+').next()?;
    let parts: Vec<&str> = version.split('.').collect();
    let [major, minor, patch] = parts[..] else { return None };
    if version.contains('-') || ![major, minor, patch].iter().all(|part| is_number(part)) {
        return None;
    }
    Some(match (major, minor) {
        ("0", "0") => format!("0.0.{patch}"),
        ("0", minor) => format!("0.{minor}"),
        (major, _) => major.to_owned(),
    })
}

fn is_number(part: &str) -> bool {
    !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_cut_to_their_compatible_part() {
        for (name, expected) in [
            ("wasi:io/streams@0.2.0", "wasi:io/streams@0.2"),
            ("wasi:io/streams@0.2.12", "wasi:io/streams@0.2"),
            ("wasi:io/streams@0.2.4+build.7", "wasi:io/streams@0.2"),
            ("wasi:io/streams@0.2.0-rc-2023-11-10", "wasi:io/streams@0.2.0-rc-2023-11-10"),
            ("wasi:io/streams@0.2.0-rc.1", "wasi:io/streams@0.2.0-rc.1"),
            ("a:b/c@1.2.3", "a:b/c@1"),
            ("a:b/c@0.0.3", "a:b/c@0.0.3"),
            ("a:b/c@10.0.0", "a:b/c@10"),
            ("a:b/c", "a:b/c"),
            ("host", "host"),
            ("host@1", "host@1"),
            ("host@1..2", "host@1..2"),
        ] {
            assert_eq!(compatible(name), expected, "{name}");
        }
    }
}
