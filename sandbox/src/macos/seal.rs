//! The seal of macOS: it confirms that the process runs under a profile.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::process::Command;

use wave_policy::{FilesystemGrant, Level, Policy};

use crate::error::{Cause, SealError};
use crate::plan::SealPlan;
use crate::report::{Layer, LayerName, Report, State};
use crate::sealed::Sealed;

/// The fix for a run at the level strict.
pub(super) const WEAKER: &str =
    "--sandbox standard runs under a Seatbelt profile, which is weaker: CAVEATS.md says how";

/// Confirms that the process runs under a profile, and reports which layers macOS does not have.
///
/// With [`Level::Off`] it confirms nothing.
///
/// # Errors
/// [`SealError`] if an access works that no profile allows, and at the level strict.
pub fn seal(plan: &SealPlan<'_>) -> Result<Sealed, SealError> {
    seal_by(plan.policy, Trial::is_denied)
}

fn seal_by(policy: &Policy, is_denied: impl Fn(Trial) -> bool) -> Result<Sealed, SealError> {
    if policy.level == Level::Off {
        return Ok(Sealed { report: Report::nothing(Level::Off) });
    }
    refuse_strict(policy.level)?;
    let trials = Trial::without_grant(&policy.grants);
    if let Some(trial) = trials.iter().find(|trial| !is_denied(**trial)) {
        return Err(seatbelt_error(Cause::SelfTest(trial.target())));
    }
    let tried: Vec<&str> = trials.iter().map(|trial| trial.target()).collect();
    let detail = format!("profile enforced; {} grants; denied: {}", policy.grants.len(), tried.join(", "));
    Ok(Sealed { report: report(policy.level, detail) })
}

/// Refuses the level strict: it requires every layer, and macOS has no system-call filter.
///
/// # Errors
/// [`SealError`] at that level.
pub fn refuse_strict(level: Level) -> Result<(), SealError> {
    match level {
        Level::Strict => Err(SealError {
            layer: LayerName::Seccomp,
            cause: Cause::Platform("filter system calls", "macOS"),
            fix: WEAKER,
        }),
        Level::Standard | Level::Off => Ok(()),
    }
}

/// The error of a profile that could not be applied.
pub(super) fn seatbelt_error(cause: Cause) -> SealError {
    SealError { layer: LayerName::Seatbelt, cause, fix: "--sandbox off runs without any kernel layer" }
}

/// An access that works on every macOS and that no profile of this crate allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trial {
    /// Opens a file that everybody may read.
    Read(&'static str),
    /// Starts a program.
    Start,
    /// Connects to a port of this machine. Without a profile, the error is another one, or there is a connection.
    Connect,
}

impl Trial {
    /// More than one file, so that one remains unless everything is granted.
    const FILES: [&'static str; 2] = ["/private/etc/hosts", "/private/etc/passwd"];
    const PROGRAM: &'static str = "/usr/bin/true";
    /// The port of `discard`, where almost no machine listens.
    const PORT: u16 = 9;

    /// The accesses that no grant allows.
    fn without_grant(grants: &[FilesystemGrant]) -> Vec<Self> {
        let is_granted = |file: &&str| grants.iter().any(|grant| Path::new(file).starts_with(&grant.host));
        let read = Self::FILES.iter().find(|file| !is_granted(file)).map(|file| Self::Read(file));
        read.into_iter().chain([Self::Start, Self::Connect]).collect()
    }

    /// Whether the sandbox denies the access. Any other error does not count.
    fn is_denied(self) -> bool {
        let error = match self {
            Self::Read(file) => File::open(file).err(),
            Self::Start => run(Self::PROGRAM.as_ref()).err(),
            Self::Connect => TcpStream::connect((Ipv4Addr::LOCALHOST, Self::PORT)).err(),
        };
        error.is_some_and(|error| error.kind() == ErrorKind::PermissionDenied)
    }

    /// What it accesses, for messages.
    fn target(self) -> &'static str {
        match self {
            Self::Read(file) => file,
            Self::Start => "the start of a program",
            Self::Connect => "a connection",
        }
    }
}

/// Runs a program and waits for it.
fn run(program: &OsStr) -> io::Result<()> {
    Command::new(program).env_clear().status().map(drop)
}

/// The report: the profile is applied, and every layer of Linux is missing, with the reason.
fn report(level: Level, detail: String) -> Report {
    let reason = |name| match name {
        LayerName::SingleThread => "not checked: the profile covers every thread",
        LayerName::Allocator => "not needed: macOS has no system-call filter",
        LayerName::Descriptors => "not done on macOS: descriptors that the parent left open stay open",
        LayerName::Limits => "not set on macOS: the monitor's limits apply",
        LayerName::Namespaces => "macOS has no namespaces",
        LayerName::Bounding | LayerName::Capabilities => "macOS has no capabilities",
        LayerName::Identity => "not changed on macOS: the run keeps its user and groups",
        LayerName::NoNewPrivs => "macOS has no no_new_privs: the profile allows only wave itself to be executed",
        LayerName::NotDumpable => "macOS has no such flag: other processes of the same user may read its memory",
        LayerName::NoNewCode => "macOS has nothing like it",
        LayerName::Landlock => "macOS has no Landlock: the profile replaces it",
        _ => "macOS has no system-call filter: the profile replaces a part of it",
    };
    let missing = LayerName::ALL.map(|name| Layer {
        name,
        state: State::Unavailable { reason: reason(name).to_owned() },
        required: false,
    });
    let seatbelt = Layer { name: LayerName::Seatbelt, state: State::Applied { detail }, required: true };
    Report { level, layers: missing.into_iter().chain([seatbelt]).collect() }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use std::fs;
    use wave_policy::Access;

    pub(in super::super) fn policy(level: Level, grants: &[&str]) -> Policy {
        let grants = grants.iter().map(|host| FilesystemGrant { host: host.into(), access: Access::ReadOnly });
        Policy { level, grants: grants.collect(), ..Policy::default() }
    }

    #[test]
    fn strict_is_refused() {
        let error = seal_by(&policy(Level::Strict, &[]), |_| panic!("it was tried")).expect_err("refused");
        assert_eq!((error.layer, error.fix()), (LayerName::Seccomp, WEAKER));
        assert_eq!(error.cause.to_string(), "wave cannot filter system calls on macOS");
    }

    /// The mark alone seals nothing: each access that is not denied ends the run.
    #[test]
    fn a_mark_without_a_profile_is_found_out() {
        let standard = policy(Level::Standard, &[]);
        let all = Trial::without_grant(&standard.grants);
        assert_eq!(all, [Trial::Read("/private/etc/hosts"), Trial::Start, Trial::Connect]);
        for works in all {
            let error = seal_by(&standard, |trial| trial != works).expect_err("one trial works");
            assert_eq!(error.layer, LayerName::Seatbelt);
            assert_eq!(
                error.cause.to_string(),
                format!("the self-test reached {}, which is not granted", works.target())
            );
        }
    }

    /// Without a profile, nothing counts as denied, nor does a file that does not exist.
    #[test]
    fn only_a_permission_error_is_a_denial() {
        for trial in Trial::without_grant(&[]) {
            assert!(!trial.is_denied(), "{trial:?}");
        }
        assert!(run("/usr/bin/env".as_ref()).is_ok(), "the control");
        let dir = tempfile::tempdir().expect("a directory");
        fs::write(dir.path().join("plain"), "").expect("a file");
        let denied = run(dir.path().join("plain").as_os_str()).expect_err("not executable");
        assert_eq!(denied.kind(), ErrorKind::PermissionDenied);
    }

    #[test]
    fn a_granted_file_is_not_tried() {
        let grants = |hosts: &[&str]| Trial::without_grant(&policy(Level::Standard, hosts).grants);
        assert_eq!(grants(&["/private/etc/hosts"])[0], Trial::Read("/private/etc/passwd"));
        assert_eq!(grants(&["/private"]), [Trial::Start, Trial::Connect]);
        assert_eq!(grants(&["/priv"])[0], Trial::Read("/private/etc/hosts"));
    }

    #[test]
    fn the_report_names_every_layer_and_why_it_is_missing() {
        let sealed = seal_by(&policy(Level::Standard, &["/srv"]), |_| true).expect("everything is denied");
        let report = sealed.report();
        assert_eq!(report.layers.len(), LayerName::ALL.len() + 1);
        for name in LayerName::ALL {
            assert!(matches!(report.state(name), State::Unavailable { reason } if !reason.is_empty()), "{name}");
        }
        let detail = "profile enforced; 1 grants; denied: /private/etc/hosts, the start of a program, a connection";
        assert_eq!(report.state(LayerName::Seatbelt), &State::Applied { detail: detail.to_owned() });
        let off = seal_by(&policy(Level::Off, &[]), |_| panic!("it was tried")).expect("off needs nothing");
        assert_eq!(off.report(), &Report::nothing(Level::Off));
    }
}
