//! The process that runs a mutant: seals itself, says what lies where, and calls the guest.

#![allow(unsafe_code, reason = "maps canaries, and hands itself to a function that changes no stack")]

use std::fs::File;
use std::mem::ManuallyDrop;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::ptr::NonNull;
use std::time::Duration;

use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous, munmap};
use nix::sys::ptrace;
use nix::sys::signal::{Signal, raise};
use nix::unistd::{dup2_stderr, dup2_stdout};
use wave_contract::context::{LIBCALLS, STACK_LIMIT, STORE};
use wave_contract::image::CodeImage;
use wave_policy::{Level, Policy, Surface};
use wave_runtime::inspect::{self, Place, Writer};
use wave_runtime::{CallError, Function, InstanceId, Item, Stop, Store, Value, arm_deadline};
use wave_sandbox::Sealed;
use wave_test_sealed::{self as sealed, Placed, Result};
use wave_verifier::Verified;

use crate::oracle::{Scene, compared, watched};
use crate::{Control, Target, late};

/// Some calls returned.
pub const RETURNED: i32 = 10;
/// All calls trapped.
pub const TRAPPED: i32 = 11;
/// It took too long.
pub const LATE: i32 = 12;
/// What functions nobody changed return is something else.
pub const WRONG: i32 = 1;
const FAILED: i32 = 2;

/// What `check` gives: 1000, what the host makes of 5, 7, and twice 40.
const CHECKED: i32 = 1000 + 6 + 7 + 80;
const PAGE: usize = 1 << 12;
/// Around each object there are canaries of this size, or of as much as there is room for.
const CANARY: usize = 4 * PAGE;
const CANARY_BYTE: u8 = 0xa7;

/// A store with a module that waits for its code, and another instance that never runs.
pub struct Ready {
    pub store: ManuallyDrop<Store<()>>,
    pub placed: Placed,
    pub other: InstanceId,
    /// Canaries among their mappings.
    pub canaries: Vec<Range<usize>>,
}

/// Something of the host that a guest has no business with.
static mut HOST_STATIC: [u8; 64] = [3; 64];

struct Run<'a> {
    store: &'a mut Store<()>,
    sealed: &'a Sealed,
    subject: Function,
    arguments: Vec<Vec<Value>>,
    checks: Vec<Function>,
}

/// Runs code to the end of this process.
pub fn run(ready: Ready, image: Verified<CodeImage>, control: Option<Control>, limit: Duration) -> ! {
    if let Err(error) = prepare(ready, image, control, limit) {
        // Before the seal, it can say so.
        eprintln!("mutant_runs: {error}");
    }
    wave_sandbox::exit(FAILED)
}

fn prepare(ready: Ready, image: Verified<CodeImage>, control: Option<Control>, limit: Duration) -> Result<()> {
    let Ready { mut store, placed, other, canaries } = ready;
    ptrace::traceme()?;
    raise(Signal::SIGSTOP)?;
    wave_sandbox::prepare_allocator();
    let instance = placed.load(&mut store, image)?;
    let mut scene = scene(&store, instance, other)?;
    let canary = |range| Place { what: "canary", range, writer: Writer::Nobody };
    scene.places.extend(canaries.into_iter().chain(around(&scene.places)).map(canary));
    let late = map(None, late::REGION_BYTES)?;
    scene.late = late;
    scene.code = store.code_range();

    let on_stack = [3_u8; 64];
    let on_heap = vec![3_u8; 64];
    let own = OwnPlaces {
        stack: inspect::of_slice(std::hint::black_box(&on_stack)),
        heap: inspect::of_slice(std::hint::black_box(&on_heap)),
    };
    let control = match control {
        Some(Control::Target(target)) => {
            let address = target.address(&store, instance, other, &scene, &own)?;
            Some((0, i64::try_from(address)?))
        }
        Some(Control::Argument(argument)) => Some((argument, 0)),
        None => None,
    };

    let null = File::options().write(true).open("/dev/null")?;
    dup2_stdout(&null)?;
    arm_deadline(limit)?;
    let surface = Surface::from_imports([("wasi_snapshot_preview1", "proc_exit")]);
    let policy = Policy { level: Level::Strict, surface, ..Policy::default() };
    // The message about a fault is not for whoever reads the results.
    dup2_stderr(&null)?;
    let sealed = sealed::seal(&mut store, &policy, &[], |()| Vec::new())?;
    for instance in [instance, other] {
        store.initialize(&sealed, instance).map_err(|stopped| format!("{:?}", stopped.stop))?;
    }

    let function = |name| match store.export(instance, name) {
        Some(Item::Function(function)) => Some(function),
        _ => None,
    };
    let start = function("_start").map(|start| (start, vec![Vec::new()]));
    let subject = function("subject").map(|subject| {
        let arguments = match control {
            Some((argument, other)) => vec![vec![Value::I32(argument), Value::I64(other)]],
            None => [0, 1, 2, 3, 60_000, -1]
                .map(|argument| vec![Value::I32(argument), Value::I64(i64::from(argument) << 33 | 5)])
                .to_vec(),
        };
        (subject, arguments)
    });
    let (subject, arguments) = subject.or(start).ok_or("nothing to call")?;
    let checks = match control {
        Some(_) => Vec::new(),
        None => [instance, other].into_iter().filter_map(|of| export(&store, of, "check")).collect(),
    };
    let text = scene.write();
    let mut run = Run { store: &mut store, sealed: &sealed, subject, arguments, checks };
    // SAFETY: mapped above with that size, for this.
    unsafe { late::begin(std::ptr::with_exposed_provenance_mut(late)) };
    watched(text.as_ptr(), text.len(), (&raw mut run).cast(), body)
}

fn export(store: &Store<()>, of: InstanceId, name: &str) -> Option<Function> {
    match store.export(of, name) {
        Some(Item::Function(function)) => Some(function),
        _ => None,
    }
}

extern "C" fn body(run: *mut ()) -> ! {
    // SAFETY: `prepare` passes its own, and is not returned to.
    let Run { store, sealed, subject, arguments, checks } = unsafe { &mut *run.cast::<Run<'_>>() };
    let mut end = TRAPPED;
    for arguments in arguments.iter() {
        match store.call(sealed, *subject, arguments) {
            Ok(_) => end = RETURNED,
            Err(CallError::Stopped(stopped)) if stopped.stop == Stop::Deadline => {
                end = LATE;
                break;
            }
            Err(CallError::Stopped(stopped)) => {
                if matches!(stopped.stop, Stop::Exit(_)) {
                    end = RETURNED;
                }
            }
            Err(_) => {
                end = FAILED;
                break;
            }
        }
    }
    compared();
    // What only the runtime writes says the same as before: to functions that were not changed, and to the other instance.
    for check in checks.iter() {
        let is_right = match store.call(sealed, *check, &[]) {
            Ok(values) => matches!(values[..], [Value::I32(CHECKED)]),
            Err(CallError::Stopped(stopped)) => stopped.stop == Stop::Deadline,
            Err(_) => false,
        };
        if !is_right {
            end = WRONG;
        }
    }
    wave_sandbox::exit(end)
}

fn scene(store: &Store<()>, instance: InstanceId, other: InstanceId) -> Result<Scene> {
    let mut places = inspect::places(store, instance);
    let of_other = inspect::places(store, other);
    let is_shared = |place: &Place| places.iter().any(|own| own.range == place.range);
    let only: Vec<_> = of_other.into_iter().filter(|place| !is_shared(place)).collect();
    places.extend(only.into_iter().map(|place| Place {
        what: format!("{} of the other instance", place.what).leak(),
        writer: Writer::Nobody,
        ..place
    }));
    for (of, names) in
        [(instance, ["data segments", "table of traps"]), (other, ["others' data segments", "others' traps"])]
    {
        let constants = inspect::constants(store, of).ok_or("there is no such instance")?;
        let place = |(what, range)| Place { what, range, writer: Writer::Nobody };
        places.extend(names.into_iter().zip(constants).map(place));
    }
    Ok(Scene { places, entries: inspect::entries(store), ..Scene::default() })
}

/// Maps canaries before and behind everything that is a mapping of its own.
fn around(places: &[Place]) -> Vec<Range<usize>> {
    const AROUND: [&str; 7] = [
        "linear memory",
        "linear memory of the other instance",
        "table",
        "table of the other instance",
        "stack",
        "guard of the stack",
        "contexts and cells",
    ];
    let around = places.iter().filter(|place| AROUND.contains(&place.what));
    let sizes = || (PAGE..=CANARY).rev().step_by(PAGE);
    let sides = around.flat_map(|Place { range: Range { start, end }, .. }| {
        [sizes().find_map(|len| canary(start - len, len).ok()), sizes().find_map(|len| canary(*end, len).ok())]
    });
    // Or something else lies there, which is compared as well.
    sides.flatten().collect()
}

/// Leaves room for one page between canaries, where the kernel will put the next object of this size. It takes the first hole that
/// is large enough, and which holes there are differs from machine to machine: a linker's cache was mapped there before, for one.
pub fn room_for_a_page() -> Result<[Range<usize>; 2]> {
    let before = map(None, CANARY + PAGE + CANARY)?;
    let room = before + CANARY;
    unmap(room, PAGE)?;
    // Each hole that comes first is filled, for good.
    while map(None, PAGE)? != room {}
    unmap(room, PAGE)?;
    Ok([before, room + PAGE].map(|at| fill(at, CANARY)))
}

/// Maps a canary below everything that the kernel has placed, so that the next object is placed below it.
pub fn canary_below() -> Result<Range<usize>> {
    let maps = std::fs::read_to_string("/proc/self/maps")?;
    let lowest = maps.lines().skip_while(|line| !line.ends_with("[heap]")).nth(1).ok_or("there is no heap")?;
    canary(usize::from_str_radix(lowest.split('-').next().unwrap_or_default(), 16)? - CANARY, CANARY)
}

fn canary(at: usize, len: usize) -> Result<Range<usize>> {
    Ok(fill(map(Some(at), len)?, len))
}

/// Makes a canary of a fresh mapping.
fn fill(at: usize, len: usize) -> Range<usize> {
    // SAFETY: the caller has just mapped it, with this size, and nothing else has its address.
    unsafe { std::ptr::with_exposed_provenance_mut::<u8>(at).write_bytes(CANARY_BYTE, len) };
    at..at + len
}

fn map(at: Option<usize>, len: usize) -> Result<usize> {
    let flags = MapFlags::MAP_PRIVATE | at.map_or(MapFlags::empty(), |_| MapFlags::MAP_FIXED_NOREPLACE);
    let length = NonZeroUsize::new(len).ok_or("nothing to map")?;
    let at = at.and_then(NonZeroUsize::new);
    // SAFETY: anonymous memory where nothing is mapped.
    let address = unsafe { mmap_anonymous(at, length, ProtFlags::PROT_READ | ProtFlags::PROT_WRITE, flags)? };
    Ok(address.as_ptr().expose_provenance())
}

/// Gives back pages that [`map`] made and nothing refers to.
fn unmap(at: usize, len: usize) -> Result<()> {
    let at = NonNull::new(std::ptr::with_exposed_provenance_mut(at)).ok_or("nothing to unmap")?;
    // SAFETY: the caller's own, without a reference into them.
    unsafe { munmap(at, len) }?;
    Ok(())
}

/// What the process has of its own.
pub struct OwnPlaces {
    stack: Range<usize>,
    heap: Range<usize>,
}

impl Target {
    /// A byte of it.
    fn address(
        self,
        store: &Store<()>,
        instance: InstanceId,
        other: InstanceId,
        scene: &Scene,
        own: &OwnPlaces,
    ) -> Result<usize> {
        let context = inspect::context(store, instance).ok_or("there is no context")?;
        let first = |what: &str, writer: Option<Writer>| {
            let mut places = scene.places.iter();
            let place = places.find(|place| place.what == what && writer.is_none_or(|writer| place.writer == writer));
            place.map(|place| place.range.clone()).ok_or_else(|| format!("no {what}"))
        };
        Ok(match self {
            Self::Memory => first("linear memory", None)?.start + 5,
            Self::Stack => first("stack", None)?.start + 5,
            Self::Results => first("results", None)?.start + 5,
            Self::Global => first("global", Some(Writer::Guest))?.start,
            Self::BeforeMemory => first("linear memory", None)?.start - 1,
            Self::BehindGuard => first("linear memory", None)?.end,
            Self::LengthOfMemory => first("descriptor of a memory", None)?.start,
            Self::BesideLength => first("descriptor of a memory", None)?.start + 8,
            Self::BeforeTable => first("table", None)?.start - 1,
            Self::LengthOfTable => first("table", None)?.start,
            Self::Entry => first("table", None)?.start + 64,
            Self::PastEntries => first("table", None)?.start + 64 + 16 * 100,
            Self::ConstantGlobal => first("global", Some(Writer::Nobody))?.start,
            Self::Context => context + STACK_LIMIT as usize,
            Self::Link => context + STORE as usize,
            Self::Libcall => context + LIBCALLS as usize,
            Self::BehindStack => first("stack", None)?.end,
            Self::BeforeStackGuard => first("guard of the stack", None)?.start - 1,
            Self::OtherMemory => first("linear memory of the other instance", None)?.start,
            Self::OtherTable => first("table of the other instance", None)?.start + 64,
            Self::OtherGlobal => first("global of the other instance", None)?.start,
            Self::OtherContext => inspect::context(store, other).ok_or("there is no context")? + STACK_LIMIT as usize,
            Self::DataSegments => first("data segments", None)?.start,
            Self::HostStack => own.stack.start,
            Self::HostHeap => own.heap.start,
            Self::HostStatic => (&raw const HOST_STATIC).expose_provenance(),
            Self::HostBlocks => scene.late + late::REGION_BYTES - 1,
            Self::Code => store.code_range().start,
            Self::Traps => first("table of traps", None)?.start,
            Self::Text => watched as *const () as usize,
        })
    }
}
