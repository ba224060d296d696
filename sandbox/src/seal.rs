//! The seal: one straight sequence, from a process that may do anything to one that may do what its policy says.

use nix::sys::signal::Signal;
use wave_policy::{Level, Role};

use crate::linux::identity::READ_UID_MAP;
use crate::linux::{denial, identity, landlock, privileges, process, seccomp, start, sys};
use crate::report::{Demand, Layer, LayerName, Report, State};
use crate::{Cause, SealError, SealPlan, Sealed};

/// Puts the policy in force on this process, for good.
///
/// Load, compile and map before; run guest code after, start functions included. Afterwards the process can make
/// only the system calls of [`Policy::rules`](wave_policy::Policy::rules); any other ends it with status
/// [`DENIED`](crate::DENIED) and a message. Leave with [`exit`]: `std::process::exit` runs handlers that make
/// other calls.
///
/// With [`Level::Off`] nothing changes but the limit on file size, and the report says so.
///
/// # Errors
/// [`SealError`] when a layer the level demands could not be put in force. Some layers may be in force by then, so
/// all that is left to do is to report it and exit.
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
        // A limit that was asked for is no layer to go without.
        process::limit_file_size(&policy.limits).map_err(|cause| layers.error(LayerName::Limits, cause))?;
        return Ok(Sealed { report: Report::nothing(Level::Off) });
    }

    // Before anything changes: a plan that contradicts itself is a mistake, and no level goes without the answer.
    landlock::check_grants(plan).map_err(|cause| layers.error(LayerName::Landlock, cause))?;
    identity::check(policy.identity).map_err(|cause| layers.error(LayerName::Identity, cause))?;

    // The caller's to say: it happened before, in another process.
    layers.skip(LayerName::Compiler);
    layers.skip(LayerName::Verifier);

    // First of the layers: ids, capabilities, no_new_privs, Landlock and the filter belong to a thread, so a thread that runs on
    // stays outside of them. It reads /proc, which Landlock closes.
    layers.apply(LayerName::SingleThread, process::assert_single_thread)?;

    // What is allocated before is never given back: that can take munmap, which the filter refuses. What is allocated from here on
    // takes and gives back memory in ways that the filter knows. Not earlier than the thread check, since another thread would wait.
    layers.apply(LayerName::Allocator, || process::settle_allocator(policy.role))?;

    // Landlock judges opening, not what is open, so a descriptor that is open then stays usable: close them before.
    // Not earlier than the thread check, since another thread could open more.
    layers.apply(LayerName::Descriptors, || process::close_other_descriptors(plan))?;

    // Not earlier than the thread check, since another thread could read the environment meanwhile.
    if let Some(title) = plan.title {
        layers.apply(LayerName::Wiped, || process::wipe_arguments(title))?;
    } else {
        layers.skip(LayerName::Wiped);
    }

    // Limits can be lowered by anyone at any time, but the filter refuses the call.
    layers.apply(LayerName::Limits, || process::lower_limits(&policy.limits))?;

    // Done before the seal, see `leave_namespaces`; here it is only known what came of it.
    if let Some(Namespaces(outcome)) = plan.namespaces {
        layers.apply(LayerName::Namespaces, || outcome.confirmed())?;
    } else {
        layers.skip(LayerName::Namespaces);
    }

    // Needs CAP_SETPCAP, which goes with the ids or with the capability sets.
    if privileges::may_close_bounding_set() {
        layers.apply(LayerName::Bounding, privileges::close_bounding_set)?;
    } else {
        layers.unavailable(LayerName::Bounding, "no CAP_SETPCAP; no_new_privs leaves the set without use");
    }

    // Needs CAP_SETUID and CAP_SETGID. It reads /proc/self/uid_map, so before Landlock.
    let identity = layers.apply(LayerName::Identity, || identity::assume(policy.identity))?;

    // After the last step that needs a capability. Landlock and the filter need none once no_new_privs is set.
    layers.apply(LayerName::Capabilities, privileges::drop_capabilities)?;

    // Before Landlock and the filter: without capabilities, the kernel refuses both unless this is set.
    layers.apply(LayerName::NoNewPrivs, privileges::no_new_privs)?;

    // After ids and capabilities: the kernel resets the flag when they change (prctl(2), PR_SET_DUMPABLE).
    layers.apply(LayerName::NotDumpable, privileges::not_dumpable)?;

    // After ids and capabilities: the kernel forgets it when they change. The filter refuses the call.
    if policy.role == Role::Compiler || plan.supervised || start::ends_with_parent() {
        start::end_with_parent().map_err(|cause| layers.error(LayerName::Limits, cause))?;
    }

    // All guest code is mapped by now. The filter refuses the call.
    layers.apply(LayerName::NoNewCode, privileges::no_new_code)?;

    // Not earlier than the last change to these pages; the filter refuses the call.
    if plan.final_pages.is_empty() {
        layers.skip(LayerName::FinalPages);
    } else {
        layers.apply(LayerName::FinalPages, || process::finish_pages(plan.final_pages))?;
    }

    // After the last step that opens a file, and after no_new_privs. The filter refuses its calls.
    layers.apply(LayerName::Landlock, || landlock::restrict(plan, policy.level))?;

    // The answer to a refused call must be there before the first call can be refused.
    denial::install_handler(&policy.surface, plan.guest_code)
        .map_err(|cause| layers.error(LayerName::Seccomp, cause))?;

    // A later step may undo an earlier one, so all is read back at the end; the filter refuses the calls for it.
    layers.confirm(LayerName::Limits, || process::confirm_limits(&policy.limits))?;
    layers.confirm(LayerName::Bounding, privileges::confirm_bounding_set)?;
    layers.confirm(LayerName::Capabilities, privileges::confirm_capabilities)?;
    layers.confirm(LayerName::NoNewPrivs, privileges::confirm_no_new_privs)?;
    layers.confirm(LayerName::NotDumpable, privileges::confirm_not_dumpable)?;
    layers.confirm(LayerName::NoNewCode, privileges::confirm_no_new_code)?;
    if let Some(identity) = identity {
        layers.confirm(LayerName::Identity, || identity.confirm())?;
    }

    // From here on nobody could abort: the filter refuses what it takes. An outside signal is one again.
    sys::by_default(Signal::SIGABRT)
        .map_err(|errno| layers.error(LayerName::Seccomp, Cause::refused("signal(SIGABRT)")(errno)))?;
    // Last, since it refuses the system calls of every step above. It reads itself back.
    layers.apply(LayerName::Seccomp, || seccomp::install(plan))?;

    Ok(Sealed { report: layers.report })
}

/// What came of [`leave_namespaces`].
#[derive(Clone, Copy, Debug)]
pub struct Namespaces(process::Left);

/// Moves the process into network, IPC and UTS namespaces of its own, where nothing can be reached. Takes `CAP_SYS_ADMIN`.
///
/// A part of the seal that can come early, because what it takes away is nothing that the steps before the seal use (sockets that
/// are open stay where they are), and that should: it costs more than all the others together, and the process may have
/// something else to wait for. The result goes into [`SealPlan::namespaces`].
#[must_use]
pub fn leave_namespaces() -> Namespaces {
    Namespaces(process::leave_namespaces())
}

/// Makes the system's allocator take memory from `brk` alone, since the filter refuses `munmap` and `mremap`.
///
/// For programs that do not have [`Allocator`](crate::Allocator) as their `#[global_allocator]`. Call it first thing in `main`: a
/// chunk that came from `mmap` before stays what it is, and giving it back after the seal ends the process. The same holds for what
/// another thread allocated, whose arena is a mapping: drop it before the seal, or never. [`seal`] and [`start`](crate::start) call
/// this, too.
pub fn prepare_allocator() {
    // On failure the seal says so; before it there is nobody to tell.
    sys::allocate_by_brk();
}

/// Ends a sealed process at once, by `exit_group` alone.
///
/// Nothing is flushed and no handler runs: write what is to be written before.
pub fn exit(code: i32) -> ! {
    sys::exit_now(code)
}

/// The report in the making, and what a missing layer means at this level.
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

    /// Runs the step of a layer and notes what came of it. An error if this level demands the layer; `None` if it goes without.
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

    /// It is not there, and this run is not refused for it.
    fn unavailable(&mut self, name: LayerName, reason: &str) {
        let state = State::Unavailable { reason: reason.to_owned() };
        self.report.layers.push(Layer { required: false, ..Layer::new(self.report.level, name, state) });
    }

    fn skip(&mut self, name: LayerName) {
        self.push(name, State::NotRequested);
    }

    fn push(&mut self, name: LayerName, state: State) {
        self.report.layers.push(Layer::new(self.report.level, name, state));
    }

    /// Reads an applied layer back. A report that says more than the kernel is an error at every level.
    fn confirm(&self, name: LayerName, check: impl FnOnce() -> Result<(), Cause>) -> Result<(), SealError> {
        match self.report.state(name) {
            State::Applied { .. } => check().map_err(|cause| self.error(name, cause)),
            _ => Ok(()),
        }
    }

    fn error(&self, layer: LayerName, cause: Cause) -> SealError {
        // What lets the layer hold, before what goes without it (T130).
        let fix = match (layer, &cause) {
            _ if cause.lacks_descriptors() => "raise the limit on open files (ulimit -n)",
            (_, Cause::Grants) => "none for the user: report it as a bug",
            (_, Cause::NamedRoot) => "name a user and a group other than 0",
            (_, Cause::RootWithout(_)) => {
                "start it as an ordinary user, in a container by --user UID:GID of podman or docker, or give it CAP_SETUID \
                 and CAP_SETGID, which are gone before the program runs"
            }
            (LayerName::SingleThread, Cause::Threads(_)) => {
                "join every thread before the guest starts; with the command, report a bug"
            }
            (LayerName::SingleThread, _) => "mount /proc, or permit unshare(2), by which it is seen without",
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
