//! Which facilities this kernel has, for `wave doctor`. The probe changes nothing outside of a thread of its own.

use std::fs::File;
use std::io::ErrorKind;

use ::landlock::{ABI, RulesetCreatedAttr, RulesetStatus};
use caps::{CapSet, Capability};

use super::{identity, landlock, sys};
use crate::probe::{LayerProbe, Presence};

/// Probes every facility that the layers need or use.
///
/// The Landlock entry is a real test: a thread of its own opens a directory, restricts itself to nothing, and
/// opens the directory again (T90).
pub fn probe() -> Vec<LayerProbe> {
    let root = nix::unistd::geteuid().is_root();
    vec![
        LayerProbe::new("kernel", kernel(), "everything", ""),
        LayerProbe::new("cpu", cpu(), "machine code of wave's compiler", ""),
        LayerProbe::new(
            "landlock",
            landlock(),
            "file system and TCP rules; strict needs ABI 3 (Linux 6.2)",
            "strict refuses; standard leaves files to the monitor and the filter",
        )
        .required(),
        LayerProbe::new("seccomp", seccomp(), "the system-call filter; every level but off needs it", "nothing runs")
            .required(),
        LayerProbe::new(
            "outer seccomp filter",
            outer_filter(),
            "nothing: one that is there may hide calls below from wave",
            "",
        ),
        LayerProbe::new("no_new_privs", no_new_privs(), "Landlock and seccomp without root", "strict refuses")
            .required(),
        LayerProbe::new(
            "/proc",
            proc(),
            "the ids of a user namespace; counting threads, confirming namespaces",
            "no namespaces in the report; \
            in a user namespace, root is refused",
        ),
        LayerProbe::new(
            "identity",
            identity_of_a_run(),
            "another user than root, and files that are not its own",
            "strict refuses",
        )
        .required(),
        LayerProbe::new(
            "CAP_SETUID",
            capability(Capability::CAP_SETUID),
            "becoming an unused user",
            without_setuid(root),
        ),
        LayerProbe::new("CAP_SETGID", capability(Capability::CAP_SETGID), "leaving all groups", without_setgid(root)),
        LayerProbe::new(
            "CAP_KILL",
            capability(Capability::CAP_KILL),
            "ending a compiler that is another user",
            if root { "wave becomes that user for the moment" } else { "nothing: it is the same user" },
        ),
        LayerProbe::new(
            "CAP_SYS_ADMIN",
            capability(Capability::CAP_SYS_ADMIN),
            "namespaces of its own for network, IPC and host name",
            "the network is that of the host; the filter and Landlock deny its use",
        ),
        LayerProbe::new(
            "CAP_SETPCAP",
            capability(Capability::CAP_SETPCAP),
            "emptying the bounding set, locking securebits",
            "the set stays, and no_new_privs makes it useless",
        ),
        LayerProbe::new(
            "openat2",
            system_call(sys::has_openat2(), "5.6"),
            "path resolution in one call",
            "wave resolves paths itself, component by component",
        ),
        LayerProbe::new(
            "close_range",
            system_call(sys::has_close_range(), "5.9"),
            "closing inherited descriptors",
            "nothing runs",
        )
        .required(),
        LayerProbe::new("mdwe", mdwe(), "no memory becomes executable", "only the filter enforces it"),
        LayerProbe::new(
            "mseal",
            system_call(sys::has_mseal(), "6.10"),
            "pages of code and policy that cannot be replaced",
            "only the filter protects them",
        ),
        LayerProbe::new(
            "user namespaces",
            user_namespaces(),
            "nothing in a run; tests, and wave inside a rootless container",
            "nothing in a run",
        ),
        LayerProbe::new(
            "yama",
            sysctl("/proc/sys/kernel/yama/ptrace_scope", "ptrace_scope"),
            "a second protection against tracing",
            "only the first protection: the process is not dumpable",
        ),
        LayerProbe::new(
            "lsm",
            sysctl("/sys/kernel/security/lsm", "order"),
            "Landlock must be among them",
            "nothing: Landlock is tested above",
        ),
    ]
}

/// The kernel's ABI level of Landlock; 0 if it has none, or Landlock is off or hidden.
pub fn landlock_abi() -> i32 {
    sys::landlock_abi()
}

/// Whether the kernel has a Landlock that does not cover truncation. Then the filter covers it, but only if files are opened without
/// `openat2`, whose flags a filter cannot see.
pub fn landlock_leaves_truncation() -> bool {
    landlock::lacks_truncation(sys::landlock_abi())
}

/// The user and group of a run on this host.
fn identity_of_a_run() -> Presence {
    match identity::describe_default() {
        Ok(detail) => Presence::Present(detail),
        Err(cause) => Presence::Missing(cause.chain()),
    }
}

const fn without_setuid(root: bool) -> &'static str {
    if root { "strict refuses root; an ordinary user runs" } else { "nothing: the run is this user" }
}

const fn without_setgid(root: bool) -> &'static str {
    if root { "strict refuses root; an ordinary user runs" } else { "the run keeps this user's groups" }
}

fn proc() -> Presence {
    let there = std::fs::metadata("/proc/self/task").is_ok();
    present_if(there, "mounted", "not mounted, or hidden")
}

fn present_if(there: bool, detail: &str, missing: &str) -> Presence {
    if there { Presence::Present(detail.to_owned()) } else { Presence::Missing(missing.to_owned()) }
}

fn kernel() -> Presence {
    match nix::sys::utsname::uname() {
        Ok(name) => Presence::Present(name.release().to_string_lossy().into_owned()),
        Err(errno) => Presence::Missing(errno.to_string()),
    }
}

fn cpu() -> Presence {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    model.map_or_else(
        || Presence::Missing("not named in /proc/cpuinfo".to_owned()),
        |(_, m)| Presence::Present(m.to_owned()),
    )
}

fn landlock() -> Presence {
    let abi = sys::landlock_abi();
    if abi == 0 {
        return Presence::Missing("off or older than Linux 5.13".to_owned());
    }
    if abi < landlock::STRICT_ABI {
        return Presence::Missing(format!("ABI {abi} is too old for strict"));
    }
    // Landlock and no_new_privs belong to the thread, so this process stays as it is.
    let thread = std::thread::Builder::new().stack_size(1 << 20).spawn(move || test_landlock(ABI::from(abi)));
    let thread = match thread {
        Ok(thread) => thread,
        Err(error) => {
            return Presence::Present(format!("ABI {abi}, not tested, because no thread could be started: {error}"));
        }
    };
    match thread.join() {
        Ok(Ok(())) => Presence::Present(format!("ABI {abi}, denied a directory that opened before")),
        Ok(Err(why)) => Presence::Missing(format!("ABI {abi}, but {why}")),
        Err(_) => Presence::Missing(format!("ABI {abi}, but the self-test crashed")),
    }
}

/// Opens `/`, restricts this thread to nothing, and expects that the kernel denies to open `/` again.
fn test_landlock(abi: ABI) -> Result<(), String> {
    File::open("/").map_err(|error| format!("the self-test proves nothing: {error} also without Landlock"))?;
    let ruleset = landlock::create_ruleset(abi).map_err(|cause| cause.chain())?;
    let status = ruleset.no_new_privs(true).restrict_self().map_err(|error| error.to_string())?;
    if status.ruleset != RulesetStatus::FullyEnforced {
        return Err("it enforces only a part".to_owned());
    }
    match File::open("/") {
        Err(error) if error.kind() == ErrorKind::PermissionDenied => Ok(()),
        _ => Err("it did not deny an open".to_owned()),
    }
}

fn seccomp() -> Presence {
    let needed = [libc::SECCOMP_RET_TRAP, libc::SECCOMP_RET_KILL_PROCESS, libc::SECCOMP_RET_ALLOW];
    let there = needed.into_iter().all(sys::has_seccomp_action);
    present_if(there, "filters with trap and kill_process", "no filters, or older than Linux 4.14")
}

fn outer_filter() -> Presence {
    match sys::seccomp_mode() {
        Ok(0) => Presence::Missing("none installed".to_owned()),
        Ok(mode) => Presence::Present(format!("mode {mode} installed")),
        Err(errno) => Presence::Missing(errno.to_string()),
    }
}

fn no_new_privs() -> Presence {
    match nix::sys::prctl::get_no_new_privs() {
        Ok(set) => Presence::Present(if set { "already set" } else { "not set yet" }.to_owned()),
        Err(errno) => Presence::Missing(errno.to_string()),
    }
}

fn capability(capability: Capability) -> Presence {
    let held = caps::has_cap(None, CapSet::Effective, capability).unwrap_or(false);
    present_if(held, "held", "not held")
}

fn system_call(is_there: bool, since: &str) -> Presence {
    present_if(is_there, &format!("since Linux {since}"), &format!("older than Linux {since}, or hidden by a filter"))
}

fn mdwe() -> Presence {
    present_if(sys::has_refuse_exec_gain(), "since Linux 6.3", "older than Linux 6.3")
}

fn user_namespaces() -> Presence {
    let limit = std::fs::read_to_string("/proc/sys/user/max_user_namespaces").unwrap_or_default();
    let restricted = ["/proc/sys/kernel/apparmor_restrict_unprivileged_userns"]
        .iter()
        .any(|path| std::fs::read_to_string(path).is_ok_and(|text| text.trim() == "1"));
    match limit.trim() {
        "" | "0" => Presence::Missing("max_user_namespaces is 0 or not there".to_owned()),
        most if restricted => Presence::Present(format!("at most {most}, restricted by AppArmor")),
        most => Presence::Present(format!("at most {most}")),
    }
}

fn sysctl(path: &str, name: &str) -> Presence {
    match std::fs::read_to_string(path) {
        Ok(text) => Presence::Present(format!("{name} {}", text.trim())),
        Err(_) => Presence::Missing(format!("no {path}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_probe_changes_nothing_here() {
        let entries = probe();
        assert!(entries.iter().any(|entry| entry.name == "landlock"));
        assert!(File::open("/").is_ok());
        assert_eq!(entries, probe());
    }
}
