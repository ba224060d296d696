//! macOS: the program runs once more, under `sandbox-exec` with the policy as a Seatbelt profile.
//!
//! ```text
//! main ─► is_inside(args)? ─no─► plan ─► enter(policy, …)   replaces the process
//!                        └─yes─► plan ─► load ─► compile ─► seal   tries what no profile allows, and reports
//! ```
//!
//! A mark among the arguments says which of the two it is, so that the program does not start itself for ever. The mark
//! proves nothing: `seal` believes only what the kernel refuses.

use std::convert::Infallible;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use wave_policy::{FilesystemGrant, Level, Policy};

use crate::seatbelt::{Startup, profile};
use crate::{Cause, Layer, LayerName, Report, SealError, SealPlan, Sealed, State};

pub(super) const WEAKER: &str =
    "--sandbox standard runs under a Seatbelt profile, which is weaker: CAVEATS.md says how";

/// What came of [`leave_namespaces`].
#[derive(Clone, Copy, Debug)]
pub struct Namespaces;

/// Does nothing here.
#[must_use]
pub fn leave_namespaces() -> Namespaces {
    Namespaces
}

/// Confirms that a profile is in force, and reports which layers macOS does not have.
///
/// With [`Level::Off`] nothing is looked at.
///
/// # Errors
/// [`SealError`] when something works that no profile allows, and at the level strict.
pub fn seal(plan: &SealPlan<'_>) -> Result<Sealed, SealError> {
    seal_by(plan.policy, Trial::refused)
}

pub(super) fn seal_by(policy: &Policy, refused: impl Fn(Trial) -> bool) -> Result<Sealed, SealError> {
    if policy.level == Level::Off {
        return Ok(Sealed { report: Report::nothing(Level::Off) });
    }
    check_level(policy.level)?;
    let trials = Trial::of(&policy.grants);
    if let Some(trial) = trials.iter().find(|trial| !refused(**trial)) {
        return Err(unavailable(Cause::SelfTest(trial.what())));
    }
    let tried: Vec<&str> = trials.iter().map(|trial| trial.what()).collect();
    let detail = format!("profile in force; {} grants; refused: {}", policy.grants.len(), tried.join(", "));
    Ok(Sealed { report: report(policy.level, detail) })
}

/// Does nothing here: there is no filter that the allocator could meet.
pub fn prepare_allocator() {}

/// Ends the process.
pub fn exit(code: i32) -> ! {
    std::process::exit(code)
}

/// Strict means every layer, and macOS has no filter of system calls, for one.
pub(super) fn check_level(level: Level) -> Result<(), SealError> {
    match level {
        Level::Strict => Err(SealError { layer: LayerName::Seccomp, cause: Cause::Platform("macOS"), fix: WEAKER }),
        Level::Standard | Level::Off => Ok(()),
    }
}

pub(super) fn unavailable(cause: Cause) -> SealError {
    SealError { layer: LayerName::Seatbelt, cause, fix: "--sandbox off runs without any kernel layer" }
}

/// Something that works on every macOS and that no profile of ours allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trial {
    /// Opens a file that everybody may read.
    Read(&'static str),
    /// Starts a program.
    Start,
    /// Connects to a port of this machine; without a profile the answer is another one, or a connection.
    Connect,
}

impl Trial {
    /// More than one file, so that one remains unless all is granted.
    const FILES: [&'static str; 2] = ["/private/etc/hosts", "/private/etc/passwd"];
    const PROGRAM: &'static str = "/usr/bin/true";
    /// Discard; a port where hardly anybody listens.
    const PORT: u16 = 9;

    fn of(grants: &[FilesystemGrant]) -> Vec<Self> {
        let is_granted = |file: &&str| grants.iter().any(|grant| Path::new(file).starts_with(&grant.host));
        let read = Self::FILES.iter().find(|file| !is_granted(file)).map(|file| Self::Read(file));
        read.into_iter().chain([Self::Start, Self::Connect]).collect()
    }

    /// Whether the sandbox refuses it; any other failure does not count as a refusal.
    fn refused(self) -> bool {
        let error = match self {
            Self::Read(file) => File::open(file).err(),
            Self::Start => start(Self::PROGRAM.as_ref()).err(),
            Self::Connect => TcpStream::connect((Ipv4Addr::LOCALHOST, Self::PORT)).err(),
        };
        error.is_some_and(|error| error.kind() == ErrorKind::PermissionDenied)
    }

    fn what(self) -> &'static str {
        match self {
            Self::Read(file) => file,
            Self::Start => "the start of a program",
            Self::Connect => "a connection",
        }
    }
}

fn start(program: &OsStr) -> io::Result<()> {
    Command::new(program).env_clear().status().map(drop)
}

fn report(level: Level, detail: String) -> Report {
    let reason = |name| match name {
        LayerName::SingleThread => "not looked at: the profile covers every thread",
        LayerName::Allocator => "not needed: macOS has no system-call filter",
        LayerName::Descriptors => "not done on macOS: what the parent left open stays open",
        LayerName::Limits => "not set on macOS: the monitor's limits hold",
        LayerName::Namespaces => "macOS has no namespaces",
        LayerName::Bounding | LayerName::Capabilities => "macOS has no capabilities",
        LayerName::Identity => "not changed on macOS: the run keeps its user and groups",
        LayerName::NoNewPrivs => "macOS has no no_new_privs: the profile lets nothing but wave itself be executed",
        LayerName::NotDumpable => "macOS has no such flag: others of the same user may look into the process",
        LayerName::NoNewCode => "macOS has nothing like it",
        LayerName::Landlock => "macOS has no Landlock: the profile stands in",
        _ => "macOS has no system-call filter: the profile stands in for a part of it",
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
    use std::os::unix::fs::PermissionsExt as _;
    use wave_policy::Access;

    pub(in super::super) fn policy(level: Level, grants: &[&str]) -> Policy {
        let grants = grants.iter().map(|host| FilesystemGrant { host: host.into(), access: Access::ReadOnly });
        Policy { level, grants: grants.collect(), ..Policy::default() }
    }

    /// The mark alone seals nothing: each trial that is not refused is the end of the run.
    #[test]
    fn a_mark_without_a_profile_is_found_out() {
        let standard = policy(Level::Standard, &[]);
        let all = Trial::of(&standard.grants);
        assert_eq!(all, [Trial::Read("/private/etc/hosts"), Trial::Start, Trial::Connect]);
        for works in all {
            let error = seal_by(&standard, |trial| trial != works).expect_err("one trial works");
            assert_eq!(error.layer, LayerName::Seatbelt);
            assert_eq!(
                error.cause.to_string(),
                format!("the self-test reached {}, which is not granted", works.what())
            );
        }
    }

    /// Here, where there is no profile, nothing counts as refused; a file that is not there does not either.
    #[test]
    fn only_a_denial_is_a_refusal() {
        for trial in Trial::of(&[]) {
            assert!(!trial.refused(), "{trial:?}");
        }
        assert!(start("/usr/bin/env".as_ref()).is_ok(), "the control");
        let dir = tempfile::tempdir().expect("a directory");
        fs::write(dir.path().join("plain"), "").expect("a file");
        let denied = start(dir.path().join("plain").as_os_str()).expect_err("not executable");
        assert_eq!(denied.kind(), ErrorKind::PermissionDenied);
    }

    #[test]
    fn a_granted_file_is_not_tried() {
        let grants = |hosts: &[&str]| Trial::of(&policy(Level::Standard, hosts).grants);
        assert_eq!(grants(&["/private/etc/hosts"])[0], Trial::Read("/private/etc/passwd"));
        assert_eq!(grants(&["/private"]), [Trial::Start, Trial::Connect]);
        assert_eq!(grants(&["/priv"])[0], Trial::Read("/private/etc/hosts"));
    }

    #[test]
    fn the_report_names_every_layer_and_why_it_is_missing() {
        let sealed = seal_by(&policy(Level::Standard, &["/srv"]), |_| true).expect("all is refused");
        let report = sealed.report();
        assert_eq!(report.layers.len(), LayerName::ALL.len() + 1);
        for name in LayerName::ALL {
            assert!(matches!(report.state(name), State::Unavailable { reason } if !reason.is_empty()), "{name}");
        }
        let detail = "profile in force; 1 grants; refused: /private/etc/hosts, the start of a program, a connection";
        assert_eq!(report.state(LayerName::Seatbelt), &State::Applied { detail: detail.to_owned() });
        let off = seal_by(&policy(Level::Off, &[]), |_| panic!("it was tried")).expect("off needs nothing");
        assert_eq!(off.report(), &Report::nothing(Level::Off));
    }
}
