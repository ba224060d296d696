//! The seal: one straight sequence of steps. It begins with a process that may do anything and ends with one that may do what its
//! policy allows.

use std::error::Error;
use std::io;

use nix::sys::signal::Signal;
use wave_policy::{Level, Role};

use super::identity::READ_UID_MAP;
use super::{denial, identity, landlock, namespaces, privileges, process, seccomp, start, sys};
use crate::error::{Cause, SealError};
use crate::plan::SealPlan;
use crate::report::{Demand, Layer, LayerName, Report, State};
use crate::sealed::Sealed;

/// Enforces the policy on this process. This cannot be undone.
///
/// Load, compile and map before the seal. Run guest code, including start functions, after it. The sealed process can make only the
/// system calls of [`Policy::rules`](wave_policy::Policy::rules); any other ends it with status [`DENIED`](crate::DENIED) and a
/// message. Leave it by [`exit`]: `std::process::exit` runs handlers that make other calls.
///
/// With [`Level::Off`] nothing changes but the limit on file size, and the report says so. A container's own filter is installed then,
/// too, with `no_new_privs`.
///
/// # Errors
/// [`SealError`] if a layer that the level requires could not be applied. Other layers may be applied by then, so the caller can only
/// report it and exit.
///
/// ```no_run
/// use wave_policy::Policy;
/// use wave_sandbox::{SealPlan, seal};
///
/// let policy = Policy::default();
/// let sealed = seal(&SealPlan::new(&policy))?;
/// eprint!("{}", sealed.report());
/// wave_sandbox::exit(0);
/// # Ok::<(), wave_sandbox::SealError>(())
/// ```
pub fn seal(plan: &SealPlan<'_>) -> Result<Sealed, SealError> {
    let policy = plan.policy;
    let mut layers = Layers::new(plan);
    if policy.level == Level::Off {
        // A limit that the user asked for is no optional layer.
        process::limit_file_size(&policy.limits).map_err(|cause| layers.error(LayerName::Limits, cause))?;
        let report = Report::nothing(Level::Off);
        // Nor is a container's own filter, which belongs to the container and not to the level.
        let Some(outer) = plan.outer_filter else { return Ok(Sealed { report }) };
        let detail = outer.install_alone().map_err(|cause| layers.error(LayerName::Seccomp, cause))?;
        return Ok(Sealed { report: report.with(LayerName::Seccomp, State::Applied { detail }) });
    }

    // Before anything changes: a plan that contradicts itself is a mistake at every level.
    landlock::check_grants(plan).map_err(|cause| layers.error(LayerName::Landlock, cause))?;
    if !plan.may_be_root {
        identity::refuse_root(policy.identity).map_err(|cause| layers.error(LayerName::Identity, cause))?;
    }

    // The caller reports these: they happened before, one of them in another process.
    layers.skip(LayerName::Compiler);
    layers.skip(LayerName::Verifier);

    // First of the layers: ids, capabilities, no_new_privs, Landlock and the filter apply to one thread, so another thread would
    // stay outside of them. It reads /proc, which Landlock denies.
    layers.apply(LayerName::SingleThread, process::confirm_single_thread)?;

    // A block that was allocated before is never given back: that can take munmap, which the filter denies. From here on, allocating and
    // giving back take only calls that the filter permits. After the thread check, since another thread would wait.
    layers.apply(LayerName::Allocator, || process::restrict_allocator(policy.role))?;

    // Before Landlock, which restricts opening and not what is open already. After the thread check, since another thread could open
    // more.
    layers.apply(LayerName::Descriptors, || process::close_other_descriptors(plan))?;

    // After the thread check, since another thread could read the environment meanwhile.
    if let Some(title) = plan.title {
        layers.apply(LayerName::Wiped, || process::wipe_arguments(title))?;
    } else {
        layers.skip(LayerName::Wiped);
    }

    // Any process may lower its limits at any time, but the filter denies the call.
    layers.apply(LayerName::Limits, || process::lower_limits(&policy.limits))?;

    // Done before the seal, see `leave_namespaces`; this only reports the result.
    if let Some(result) = plan.namespaces {
        layers.apply(LayerName::Namespaces, || namespaces::describe(result))?;
    } else {
        layers.skip(LayerName::Namespaces);
    }

    // Before the ids and the capability sets, which take CAP_SETPCAP away.
    if privileges::may_clear_bounding_set() {
        layers.apply(LayerName::Bounding, privileges::clear_bounding_set)?;
    } else {
        layers.unavailable(LayerName::Bounding, "no CAP_SETPCAP; no_new_privs makes the set useless");
    }

    // Before the capability sets, which take CAP_SETUID and CAP_SETGID away, and before Landlock: it reads /proc/self/uid_map.
    let identity = layers.apply(LayerName::Identity, || identity::assume(policy.identity, plan.groups))?;

    // After the last step that needs a capability. Landlock and the filter need none once no_new_privs is set.
    layers.apply(LayerName::Capabilities, || privileges::drop_capabilities(plan.capabilities))?;

    // Before Landlock and the filter: without capabilities, the kernel refuses both unless this is set.
    layers.apply(LayerName::NoNewPrivs, privileges::set_no_new_privs)?;

    // After ids and capabilities: a change of them resets the flag (prctl(2), PR_SET_DUMPABLE).
    layers.apply(LayerName::NotDumpable, privileges::set_not_dumpable)?;

    // After ids and capabilities: a change of them cancels it. Before the filter, which denies the call.
    if policy.role != Role::Guest || plan.supervised || start::ends_with_parent() {
        start::end_with_parent().map_err(|cause| layers.error(LayerName::Limits, cause))?;
    }

    // After all guest code is mapped, and before the filter, which denies the call.
    layers.apply(LayerName::NoNewCode, privileges::refuse_new_code)?;

    // After the last change to these pages, and before the filter, which denies the call.
    if plan.final_pages.is_empty() {
        layers.skip(LayerName::FinalPages);
    } else {
        layers.apply(LayerName::FinalPages, || process::seal_pages(plan.final_pages))?;
    }

    // After the last step that opens a file, and after no_new_privs. Before the filter, which denies its calls.
    layers.apply(LayerName::Landlock, || landlock::restrict(plan, policy.level))?;

    // Before the filter: the handler must be there before the first call can be denied.
    denial::install_handler(&policy.surface, plan.guest_code)
        .map_err(|cause| layers.error(LayerName::Seccomp, cause))?;

    // After the other layers, since a later step may undo an earlier one. Before the filter, which denies the calls that read back.
    layers.confirm(LayerName::Limits, || process::confirm_limits(&policy.limits))?;
    layers.confirm(LayerName::Bounding, privileges::confirm_bounding_set)?;
    layers.confirm(LayerName::Capabilities, || privileges::confirm_capabilities(plan.capabilities))?;
    layers.confirm(LayerName::NoNewPrivs, privileges::confirm_no_new_privs)?;
    layers.confirm(LayerName::NotDumpable, privileges::confirm_not_dumpable)?;
    layers.confirm(LayerName::NoNewCode, privileges::confirm_no_new_code)?;
    if let Some(identity) = identity {
        layers.confirm(LayerName::Identity, || identity.confirm())?;
    }

    // From here on the process cannot abort itself: the filter denies the call. A SIGABRT from outside has its default effect again.
    sys::restore_default(Signal::SIGABRT)
        .map_err(|errno| layers.error(LayerName::Seccomp, Cause::refused("signal(SIGABRT)")(errno)))?;
    // Last, since it denies the system calls of every step above. It tests itself. A container's own filter comes immediately before it:
    // after every other step, so that a profile cannot deny one, and not after it, since it denies seccomp(2).
    layers.apply(LayerName::Seccomp, || seccomp::install(plan))?;

    Ok(Sealed { report: layers.report })
}

/// Makes the system's allocator get memory from `brk` alone, since the filter denies `munmap` and `mremap`.
///
/// For programs that do not have [`Allocator`](crate::Allocator) as their `#[global_allocator]`. Call it first thing in `main`: a
/// block that came from `mmap` before is given back by `munmap`, which ends the sealed process. The same holds for a block that another
/// thread allocated, because its arena is a mapping: drop it before the seal, or never. [`seal`] and [`start`](crate::start()) do
/// this, too.
pub fn prepare_allocator() {
    // If it fails, the seal reports it.
    sys::allocate_by_brk_only();
}

/// Ends a sealed process at once, by `exit_group` alone.
///
/// It flushes nothing and runs no handler: write buffered output before.
pub fn exit(code: i32) -> ! {
    sys::exit_now(code)
}

/// The report so far, and what a missing layer means at this level.
struct Layers<'a> {
    report: Report,
    left_out: &'a [LayerName],
    failing: &'a [LayerName],
}

impl<'a> Layers<'a> {
    fn new(plan: &SealPlan<'a>) -> Self {
        let report = Report { level: plan.policy.level, layers: Vec::with_capacity(LayerName::ALL.len()) };
        Self { report, left_out: plan.left_out, failing: plan.failing }
    }

    /// Runs the step of a layer and records the result. If the step fails, this is an error if the level requires the layer, and
    /// `None` otherwise.
    fn apply<T: ToString>(
        &mut self,
        name: LayerName,
        step: impl FnOnce() -> Result<T, Cause>,
    ) -> Result<Option<T>, SealError> {
        if self.left_out.contains(&name) {
            self.skip(name);
            return Ok(None);
        }
        let outcome = if self.failing.contains(&name) { Err(Cause::Injected) } else { step() };
        match (outcome, name.demand(), self.report.level) {
            (Ok(applied), ..) => {
                self.push(name, State::Applied { detail: applied.to_string() });
                Ok(Some(applied))
            }
            (Err(cause), Demand::EveryLevel, _) | (Err(cause), Demand::Strict, Level::Strict) => {
                Err(self.error(name, cause))
            }
            (Err(cause), Demand::Strict, _) => {
                self.push(name, State::Waived { reason: cause.chain() });
                Ok(None)
            }
            (Err(cause), Demand::Nobody, _) => {
                self.unavailable(name, &cause.chain());
                Ok(None)
            }
        }
    }

    /// Records that a layer is missing, and that this run does not require it.
    fn unavailable(&mut self, name: LayerName, reason: &str) {
        let state = State::Unavailable { reason: reason.to_owned() };
        self.report.layers.push(Layer { required: false, ..Layer::new(self.report.level, name, state) });
    }

    /// Records that a layer was not requested.
    fn skip(&mut self, name: LayerName) {
        self.push(name, State::NotRequested);
    }

    fn push(&mut self, name: LayerName, state: State) {
        self.report.layers.push(Layer::new(self.report.level, name, state));
    }

    /// Reads an applied layer back from the kernel. If the kernel does not have it, this is an error at every level.
    fn confirm(&self, name: LayerName, check: impl FnOnce() -> Result<(), Cause>) -> Result<(), SealError> {
        match self.report.state(name) {
            State::Applied { .. } => check().map_err(|cause| self.error(name, cause)),
            _ => Ok(()),
        }
    }

    fn error(&self, layer: LayerName, cause: Cause) -> SealError {
        // The fix that gets the layer, rather than one that runs without it (T130).
        let fix = match (layer, &cause) {
            _ if lacks_descriptors(&cause) => "raise the limit on open files (ulimit -n)",
            (_, Cause::Grants | Cause::FilterDiffers(_) | Cause::RulesetDiffers(_)) => {
                "none for the user: report it as a bug"
            }
            (_, Cause::NamedRoot) => "name a user and a group other than 0",
            (_, Cause::RootWithout(_)) => {
                "start it as an ordinary user, in a container by --user UID:GID of podman or docker, or give it CAP_SETUID \
                 and CAP_SETGID, which are gone before the program runs"
            }
            (LayerName::SingleThread, Cause::Threads(_)) => {
                "join every thread before the guest starts; with the command, report a bug"
            }
            (LayerName::SingleThread, _) => "mount /proc, or permit unshare(2), which shows it without /proc",
            (LayerName::Descriptors, _) => {
                "use Linux 5.9 or newer; an outer filter must permit close_range(2) and fcntl(2)"
            }
            (LayerName::Seccomp, _) => "use a kernel with seccomp filters; an outer filter must permit seccomp(2)",
            (LayerName::Landlock, _) => {
                "use Linux 6.2 or newer with `landlock` in lsm=; --sandbox standard runs without"
            }
            (LayerName::Identity, Cause::NotRoot) => {
                "leave out --user and run as this user, or start it as root, with CAP_SETUID and CAP_SETGID"
            }
            (
                LayerName::Identity,
                Cause::Refused { call: READ_UID_MAP | "setresuid" | "setresgid" | "setgroups", .. },
            ) => "mount /proc, so that the ids of the user namespace are known; an outer filter must permit the call",
            (LayerName::Identity, Cause::Root(_)) => {
                "start it as an ordinary user, or in a namespace that maps more than root; --sandbox standard runs without"
            }
            _ => "an outer filter must permit the call; --sandbox standard runs without it",
        };
        SealError { layer, cause, fix }
    }
}

/// Whether the cause is that no more descriptors may be open.
fn lacks_descriptors(cause: &Cause) -> bool {
    let mut next: Option<&(dyn Error + 'static)> = Some(cause);
    while let Some(error) = next {
        let number = error.downcast_ref::<io::Error>().and_then(io::Error::raw_os_error);
        if number.is_some_and(|number| number == libc::EMFILE || number == libc::ENFILE) {
            return true;
        }
        next = error.source();
    }
    false
}
