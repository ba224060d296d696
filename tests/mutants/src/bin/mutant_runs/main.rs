//! Runs code that was changed and is accepted all the same, each change in a process of its own under the seal, and compares
//! everything in that process with what was there before.
//!
//! ```text
//! mutant_runs fixed|arg GUEST SEED COUNT
//! mutant_runs fixed|arg GUEST TARGET
//! mutant_runs fixed|arg GUEST MISTAKE ARGUMENT
//! ```
//!
//! The others take code that nobody has accepted: it writes to the target, or the compiler made a mistake in it. Prints what came
//! of it; exit code 1 if something changed that is not the guest's.
//!
//! `GLIBC_TUNABLES=glibc.pthread.rseq=0:glibc.malloc.mmap_threshold=65536` belongs before it: or the kernel writes to a thread's memory,
//! and the processes inherit what the oracle remembered of the last.

#![cfg_attr(not(target_os = "linux"), no_main)]
#![cfg(target_os = "linux")]
#![allow(unsafe_code, reason = "forks")]

mod late;
mod oracle;
mod subject;

use std::collections::BTreeMap;
use std::mem::ManuallyDrop;
use std::ops::ControlFlow;
use std::time::Duration;

use nix::unistd::{ForkResult, fork};
use oracle::{End, Outcome, Trace};
use subject::{LATE, RETURNED, Ready, TRAPPED, canary_below, room_for_a_page};
use wave_contract::image::CodeImage;
use wave_contract::module::{ExportKind, Import, ImportType, ModuleInfo};
use wave_contract::types::FuncType;
use wave_runtime::{Binding, Caller, HostFunction, Stop, Store, StoreOptions};
use wave_test_mutants::{Mistake, Mutant};
use wave_test_sealed::{self as sealed, Result};
use wave_verifier::Verified;

/// A mutant may run for ever.
const MUTANT_LIMIT: Duration = Duration::from_secs(1);
/// What ends by itself may take its time, above all when it goes from one instruction to the next.
const FINITE_LIMIT: Duration = Duration::from_secs(60);

#[global_allocator]
static ALLOCATOR: late::Allocator = late::Allocator;

macro_rules! targets {
    ($($name:ident)*) => {
        /// Where code that was not proved writes.
        #[derive(Clone, Copy, Debug)]
        pub enum Target {
            $(#[doc = stringify!($name)] $name,)*
        }

        impl Target {
            const ALL: &[Self] = &[$(Self::$name,)*];
        }
    };
}

targets! {
    Memory Stack Results Global
    BeforeMemory BehindGuard LengthOfMemory BesideLength
    BeforeTable LengthOfTable Entry PastEntries
    ConstantGlobal Context Link Libcall
    BehindStack BeforeStackGuard
    OtherMemory OtherTable OtherGlobal OtherContext
    DataSegments HostStack HostHeap HostStatic HostBlocks
    Code Traps Text
}

/// How code is called that was not proved.
#[derive(Clone, Copy, Debug)]
pub enum Control {
    /// With the address of this.
    Target(Target),
    /// With this first argument.
    Argument(i32),
}

fn main() -> ! {
    sealed::main("mutant_runs", run)
}

fn run() -> Result<i32> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    let (mode, guest, rest) = match &words[..] {
        [mode, guest, rest @ ..] => (*mode, *guest, rest),
        _ => return Err("a mode and a guest are needed".into()),
    };
    // The same places in each run: what lies beside what is known.
    let seed = Some(rest.first().and_then(|word| word.parse().ok()).unwrap_or(1));
    let options = StoreOptions { fixed: mode == "fixed", seed, stack_bytes: 1 << 20, ..StoreOptions::default() };
    let mut store = ManuallyDrop::new(Store::new(options, ())?);
    let bytes = wat::parse_file(guest)?;
    let mut canaries = vec![canary_below()?];
    let (neighbor, code) = sealed::compile(&mut store, bytes.clone(), bind)?;
    // Tables of a page come there, one for each instance.
    canaries.extend(room_for_a_page()?);
    canaries.push(canary_below()?);
    let mistake = Mistake::ALL.into_iter().find(|known| rest.first() == Some(&&*format!("{known:?}")));
    let (placed, mut image) = sealed::compile(&mut store, bytes, bind)?;
    if let Some(mistake) = mistake {
        let subject = placed.info.export("subject").ok_or("there is no `subject`")?.index as usize;
        mistake.make(&mut image, subject).ok_or("there is no place for the mistake")?;
    }
    canaries.push(canary_below()?);
    let (code, _) = wave_verifier::verify(code, &neighbor.bytes, neighbor.terms(), 1)?;
    let other = neighbor.load(&mut store, code)?;
    let ready = Ready { store, placed, other, canaries };
    match *rest {
        [_, argument] if mistake.is_some() => unproved(ready, image, Control::Argument(argument.parse()?)),
        [seed, count] => mutants(ready, image, seed.parse()?, count.parse()?),
        [target] => {
            let target = Target::ALL.iter().find(|known| format!("{known:?}") == target);
            let target = *target.ok_or("there is no such target")?;
            let image = writing(&ready.placed.info, image)?;
            unproved(ready, image, Control::Target(target))
        }
        _ => Err("a seed and a count, a target, or a mistake and an argument are needed".into()),
    }
}

/// Runs so many accepted mutants.
fn mutants(ready: Ready, image: CodeImage, seed: u64, count: u64) -> Result<i32> {
    let (info, bytes, terms) = (&ready.placed.info, ready.placed.bytes.clone(), ready.placed.terms());
    // What `check` uses stays as it is.
    let check = info.export("check").filter(|export| export.kind == ExportKind::Function);
    let first = check.map_or(info.imported_functions, |check| check.index + 1);
    let mut counts: BTreeMap<(&str, String), u64> = BTreeMap::new();
    let (mut runs, mut bad) = (0, 0);
    let mut failure = None;
    let functions = info.functions.len();
    let mut ready = Some(ready);

    // Only what is executed can do harm: the places of changes are those where the code comes along as it is.
    let mut trace = Trace::default();
    let (proved, _) = wave_verifier::verify(image.clone(), &bytes, terms.clone(), 1)?;
    let Outcome { end, changes, .. } = watch(&mut ready, proved, None, Some(&mut trace))?;
    if !changes.is_empty() || end != End::Code(RETURNED) {
        return Err(format!("code that was not changed: {end:?}, {changes:#?}").into());
    }
    let Trace { executed, functions: entries, .. } = trace;
    // Each function has two entries, for its type and for its shape.
    let starts: Vec<usize> = entries.into_iter().step_by(2).collect();
    let starts = &starts[starts.len() - functions..];
    let text = starts[0] - image.functions[0].start as usize;
    if starts.iter().zip(&image.functions).any(|(start, function)| *start != text + function.start as usize) {
        return Err("the entries are not those of the functions".into());
    }
    let is_executed = |at: u32| executed.contains(&(text + at as usize));
    println!("instructions: executed: {}", executed.range(text..text + image.text.len()).count());

    let tried = wave_test_mutants::visit(&image, &bytes, &terms, first, is_executed, seed, |mutant| {
        let Mutant { image, operator, class, text } = mutant;
        let outcome = match wave_verifier::verify(image, &bytes, terms.clone(), 1) {
            Ok((image, _)) => watch(&mut ready, image, None, None),
            Err(error) => Err(error.into()),
        };
        let Outcome { end, changes, compared } = match outcome {
            Ok(outcome) => outcome,
            Err(error) => {
                failure = Some(format!("{error}, at\n{text}"));
                return ControlFlow::Break(());
            }
        };
        let end = match end {
            End::Code(RETURNED) => "returned".to_owned(),
            End::Code(TRAPPED) => "trapped".to_owned(),
            End::Code(LATE) => "deadline".to_owned(),
            End::Fault => "fault".to_owned(),
            End::Code(_) | End::Other(_) => format!("{end:?}"),
        };
        let is_known = ["returned", "trapped", "deadline", "fault"].contains(&&*end);
        if !changes.is_empty() || !is_known {
            bad += 1;
            println!("changed by {end}: {changes:#?}\n{text}");
        }
        for (kind, name) in [("end", &*end), ("operator", operator), ("class", class)] {
            *counts.entry((kind, name.to_owned())).or_default() += 1;
        }
        *counts.entry(("KiB", "compared".to_owned())).or_default() += (compared / 1024) as u64;
        runs += 1;
        if runs == count || bad > 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    for ((kind, name), count) in counts {
        println!("{kind}: {name}: {count}");
    }
    println!("tried: break the contract: {}", tried.certain);
    println!("tried: break the contract, accepted: {}", tried.certain_accepted);
    println!("tried: at random: {}", tried.random);
    println!("tried: at random, accepted: {}", tried.random_accepted);
    match failure {
        Some(failure) => Err(failure.into()),
        None => Ok(i32::from(bad > 0 || tried.certain_accepted > 0)),
    }
}

/// Code that changes a byte, in the place of `subject`.
fn writing(info: &ModuleInfo, mut image: CodeImage) -> Result<CodeImage> {
    // XOR BYTE [argument 1], 0x5A; RET
    const FIXED: &[u8] = &[0x80, 0x36, 0x5a, 0xc3];
    const ARG: &[u8] = &[0x80, 0x32, 0x5a, 0xc3];
    let subject = info.export("subject").ok_or("there is no `subject`")?.index;
    let code = if image.addressing.fixed().is_some() { FIXED } else { ARG };
    let at = image.functions[subject as usize].start as usize;
    image.text[at..at + code.len()].copy_from_slice(code);
    Ok(image)
}

/// Runs code that the verifier refuses.
fn unproved(ready: Ready, image: CodeImage, control: Control) -> Result<i32> {
    let Ready { placed, .. } = &ready;
    if wave_verifier::verify(image.clone(), &placed.bytes, placed.terms(), 1).is_ok() {
        return Err("the verifier accepts it".into());
    }
    let image = Verified::unproved(image, &placed.bytes, placed.terms())?;
    let Outcome { end, changes, .. } = watch(&mut Some(ready), image, Some(control), None)?;
    println!("{end:?}");
    changes.iter().for_each(|change| println!("{change}"));
    Ok(i32::from(!changes.is_empty()))
}

/// Runs code in a process of its own.
fn watch(
    ready: &mut Option<Ready>,
    image: Verified<CodeImage>,
    control: Option<Control>,
    trace: Option<&mut Trace>,
) -> Result<Outcome> {
    let limit = if trace.is_some() || control.is_some() { FINITE_LIMIT } else { MUTANT_LIMIT };
    // SAFETY: this process has one thread.
    match unsafe { fork()? } {
        ForkResult::Parent { child } => oracle::watch(child, trace),
        ForkResult::Child => match ready.take() {
            Some(ready) => subject::run(ready, image, control, limit),
            None => wave_sandbox::exit(1),
        },
    }
}

/// Functions of the host that do next to nothing.
fn bind(info: &ModuleInfo, import: &Import) -> Result<Binding<()>> {
    macro_rules! inert {
        ($ty:expr, $answer:expr; $(($($arg:ty)*))*) => {
            [$(HostFunction::new(|_: &mut Caller<'_, ()>, $(_: $arg),*| Ok::<u32, Stop>($answer)),)*]
                .into_iter()
                .find(|function| function.ty() == $ty)
        };
    }
    let ImportType::Function(ty) = import.ty else { return Err("only functions are imported here".into()) };
    let ty: &FuncType = info.signature(ty).expect("it is the type of a function");
    let function = match &*import.name {
        "next" => Some(HostFunction::new(|_: &mut Caller<'_, ()>, number: u32| Ok::<_, Stop>(number.wrapping_add(1)))),
        "proc_exit" => Some(HostFunction::new(|_: &mut Caller<'_, ()>, code: u32| Err::<(), _>(Stop::Exit(code)))),
        // Success without a result leaves some loops of C's library without an end; these say EBADF.
        name if name.starts_with("fd_") || name.starts_with("path_") => inert!(ty, 8;
            (u32) (u32 u32) (u32 u32 u32) (u32 u32 u32 u32) (u32 u32 u32 u32 u32) (u32 u64 u32 u32)
            (u32 u32 u32 u64 u32) (u32 u32 u32 u32 u32 u64 u64 u32 u32)),
        _ => inert!(ty, 0; () (u32) (u32 u32) (u32 u64 u32) (u32 u32 u32) (u32 u32 u32 u32)),
    };
    Ok(Binding::Host(function.ok_or_else(|| format!("no function `{}` of type {ty}", import.name))?))
}
