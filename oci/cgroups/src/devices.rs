//! Access to device nodes.
//!
//! cgroup v1 has files for it. On v2 it takes a program in the kernel (eBPF), which this crate does not load. It can go without: wave
//! opens no device node for a guest unless it is listed, Landlock lets no process of a container create one, and the filter denies
//! `mknod`. What is left open is what every container may use, [`STANDARD`]. So any list holds on v2 already, except for one that
//! denies a standard device by its number, and such a list is refused. The caller has to keep its side: no device beside the standard
//! ones is listed for a guest that its rules deny, and bind mounts are `nodev`.

use std::path::Path;

use crate::error::Error;
use crate::files;
use crate::resources::DeviceRule;

/// The character devices that a container may always use, and that a runtime creates in its `/dev`: null, zero, full, random, urandom, tty, ptmx, and terminals
/// (`None` is every minor number).
///
/// Source: OCI runtime-spec, `config-linux.md`, "Default Devices".
const STANDARD: [(i64, Option<i64>); 8] =
    [(1, Some(3)), (1, Some(5)), (1, Some(7)), (1, Some(8)), (1, Some(9)), (5, Some(0)), (5, Some(2)), (136, None)];

/// Writes the rules to a directory of the v1 controller. The standard devices are allowed after the last rule that is about all.
pub(crate) fn apply_v1(directory: &Path, rules: &[DeviceRule]) -> Result<(), Error> {
    let after = rules.iter().rposition(is_about_all).map_or(0, |last| last + 1);
    for (index, rule) in rules.iter().enumerate() {
        if index == after {
            allow_standard(directory)?;
        }
        for line in lines(rule)? {
            write_rule(directory, rule.allow, &line)?;
        }
    }
    match after == rules.len() && !rules.is_empty() {
        true => allow_standard(directory),
        false => Ok(()),
    }
}

fn allow_standard(directory: &Path) -> Result<(), Error> {
    for (major, minor) in STANDARD {
        let minor = minor.map_or_else(|| "*".to_owned(), |minor| minor.to_string());
        match write_rule(directory, true, &format!("c {major}:{minor} rwm")) {
            // The parent cgroup denies it, and so would this one.
            Err(error) if error.is_permission() => {}
            written => written?,
        }
    }
    Ok(())
}

fn write_rule(directory: &Path, allow: bool, line: &str) -> Result<(), Error> {
    let file = directory.join(if allow { "devices.allow" } else { "devices.deny" });
    files::write(&file, line).map_err(|error| match error {
        Error::Io { source, path, .. } => {
            Error::Refused { property: "devices".to_owned(), value: line.to_owned(), file: path, source }
        }
        other => other,
    })
}

/// Checks that the rules hold without a controller.
pub(crate) fn check_uncontrolled(rules: &[DeviceRule]) -> Result<(), Error> {
    for rule in rules {
        lines(rule)?;
        if !rule.allow && !is_about_all(rule) && denies_standard(rule) {
            let why = "it denies a device that every container may use, which takes the cgroup v1 controller `devices`";
            return Err(Error::Unsupported { property: "devices".to_owned(), why });
        }
    }
    Ok(())
}

fn denies_standard(rule: &DeviceRule) -> bool {
    let matches =
        |rule: Option<i64>, device: Option<i64>| number(rule).is_none_or(|n| device.is_none_or(|device| n == device));
    let character = rule.kind.as_deref() != Some("b");
    let opens = rule.access.as_deref().is_none_or(|access| access.contains(['r', 'w']));
    character
        && opens
        && STANDARD.iter().any(|(major, minor)| matches(rule.major, Some(*major)) && matches(rule.minor, *minor))
}

/// A number that is set.
fn number(number: Option<i64>) -> Option<i64> {
    number.filter(|number| *number != -1)
}

fn is_about_all(rule: &DeviceRule) -> bool {
    number(rule.major).is_none() && number(rule.minor).is_none() && rule.kind.as_deref() != Some("b")
}

/// What the kernel reads for a rule. It takes `a` for everything and ignores what follows, so `a` is written only for that.
fn lines(rule: &DeviceRule) -> Result<Vec<String>, Error> {
    let access = access(rule)?;
    let [major, minor] = [part(rule, rule.major)?, part(rule, rule.minor)?];
    let of_kind = |kind: &str| format!("{kind} {major}:{minor} {access}");
    match rule.kind.as_deref().unwrap_or("a") {
        "a" | "" if major == "*" && minor == "*" && ["r", "w", "m"].iter().all(|one| access.contains(one)) => {
            Ok(vec!["a".to_owned()])
        }
        "a" | "" => Ok(vec![of_kind("c"), of_kind("b")]),
        kind @ ("c" | "b") => Ok(vec![of_kind(kind)]),
        _ => Err(invalid(rule, "its type is not a, b or c")),
    }
}

fn part(rule: &DeviceRule, value: Option<i64>) -> Result<String, Error> {
    match number(value) {
        None => Ok("*".to_owned()),
        Some(value @ 0..=0xffff_ffff) => Ok(value.to_string()),
        Some(_) => Err(invalid(rule, "a device has no such number")),
    }
}

/// Without a word about access, all of it is denied and none allowed.
fn access(rule: &DeviceRule) -> Result<&str, Error> {
    match rule.access.as_deref().filter(|access| !access.is_empty()) {
        None if rule.allow => Err(invalid(rule, "it allows no access")),
        None => Ok("rwm"),
        Some(access) if access.len() <= 3 && access.bytes().all(|byte| b"rwm".contains(&byte)) => Ok(access),
        Some(_) => Err(invalid(rule, "its access is not some of rwm")),
    }
}

fn invalid(rule: &DeviceRule, why: &'static str) -> Error {
    Error::Invalid { property: "devices".to_owned(), value: format!("{rule:?}"), why }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(json: &str) -> Vec<DeviceRule> {
        serde_json::from_str(json).unwrap()
    }

    const PODMAN: &str = r#"[{"allow":false,"access":"rwm"}]"#;

    #[test]
    fn lines_of_a_rule() {
        for (json, expected) in [
            (r#"{"allow":false,"access":"rwm"}"#, vec!["a"]),
            (r#"{"allow":false}"#, vec!["a"]),
            (r#"{"allow":true,"type":"c","major":10,"minor":229,"access":"rw"}"#, vec!["c 10:229 rw"]),
            (r#"{"allow":true,"type":"a","major":8,"access":"r"}"#, vec!["c 8:* r", "b 8:* r"]),
            (r#"{"allow":true,"type":"b","major":-1,"minor":-1,"access":"m"}"#, vec!["b *:* m"]),
        ] {
            assert_eq!(lines(&serde_json::from_str(json).unwrap()).unwrap(), expected, "{json}");
        }
        for json in [
            r#"{"allow":true}"#,
            r#"{"allow":true,"access":"x"}"#,
            r#"{"allow":true,"type":"p","access":"r"}"#,
            r#"{"allow":true,"major":-2,"access":"r"}"#,
            r#"{"allow":true,"access":"r 1:2"}"#,
        ] {
            assert!(lines(&serde_json::from_str(json).unwrap()).is_err(), "{json}");
        }
    }

    #[test]
    fn without_a_controller() {
        let tun = r#"[{"allow":false,"access":"rwm"},{"allow":true,"type":"c","major":10,"minor":200,"access":"rwm"}]"#;
        let disk = r#"[{"allow":true,"access":"rwm"},{"allow":false,"type":"b","major":8,"access":"rwm"}]"#;
        let only_mknod = r#"[{"allow":false,"type":"c","major":1,"minor":3,"access":"m"}]"#;
        for json in ["[]", PODMAN, tun, disk, only_mknod] {
            check_uncontrolled(&rules(json)).unwrap();
        }
        for json in [
            r#"[{"allow":false,"type":"c","major":1,"minor":9,"access":"r"}]"#,
            r#"[{"allow":false,"major":1,"access":"w"}]"#,
            r#"[{"allow":false,"type":"c","major":136,"minor":5}]"#,
            r#"[{"allow":true}]"#,
        ] {
            assert!(check_uncontrolled(&rules(json)).is_err(), "{json}");
        }
    }

    #[test]
    fn the_standard_devices_are_allowed_between_all_and_one() {
        // A file that does not exist stops the writing: what was tried is in the error.
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("devices.deny"), "").unwrap();
        let error = apply_v1(directory.path(), &rules(PODMAN)).unwrap_err().to_string();
        assert!(error.contains("`c 1:3 rwm`") && error.contains("devices.allow"), "{error}");
        assert_eq!(std::fs::read_to_string(directory.path().join("devices.deny")).unwrap(), "a");
    }
}
