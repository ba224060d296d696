//! T57: only a fault of guest code, on an address that guest code may compute, becomes a trap. The same fault in a hostcall, which is
//! where the monitor runs, ends the process.

use std::fs::File;
use std::io::Read as _;
use std::mem::ManuallyDrop;
use std::os::fd::AsRawFd as _;
use std::panic::catch_unwind;

use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, fork, pipe};
use wave_compiler::{CompileOptions, ImportLinkage, Module};
use wave_contract::artifact::CodeSettings;
use wave_policy::Policy;
use wave_runtime::{Binding, CallError, Caller, HostFunction, Item, Stop, Store, StoreOptions, Trap};
use wave_sandbox::{GrowableRange, SealPlan, seal};

use crate::raw::call;

/// The same load, by the guest and by a hostcall; then worse ones by the hostcall.
const MODULE: &str = r#"(module
    (import "host" "load" (func $load (param i32)))
    (memory 1 2)
    (func (export "inside") (call $load (i32.const 0)))
    (func (export "guest") (drop (i32.load8_u (i32.const 65536))))
    (func (export "host_past_the_end") (call $load (i32.const 65536)))
    (func (export "host_far_away") (call $load (i32.const 0x7fffffff)))
    (func (export "host_bad_instruction") (call $load (i32.const -1))))"#;

const TRAPPED: i32 = 42;

/// What is called, and how the process ends.
const CASES: &[(&str, i32)] = &[
    ("inside", 0),
    ("guest", TRAPPED),
    ("host_past_the_end", 128 + libc::SIGSEGV),
    ("host_far_away", 128 + libc::SIGSEGV),
    ("host_bad_instruction", 128 + libc::SIGILL),
];

/// The number of failures.
pub fn check() -> u32 {
    let each = |(name, status): &(&str, i32)| {
        let is_ok = catch_unwind(|| t57_ends(name, *status)).is_ok();
        println!("test t57_{name} ... {}", if is_ok { "ok" } else { "FAILED" });
        u32::from(!is_ok)
    };
    CASES.iter().map(each).sum()
}

fn t57_ends(name: &str, status: i32) {
    let (messages, stderr) = pipe().expect("a pipe");
    // SAFETY: the harness has one thread.
    let child = match unsafe { fork() }.expect("a process") {
        ForkResult::Child => {
            call!(libc::SYS_dup2, stderr.as_raw_fd(), 2).expect("own descriptors");
            run(name)
        }
        ForkResult::Parent { child } => child,
    };
    drop(stderr);
    let mut message = String::new();
    File::from(messages).read_to_string(&mut message).expect("text");
    assert_eq!(waitpid(child, None), Ok(WaitStatus::Exited(child, status)), "{message}");
    let is_host = message.starts_with("wave: fault outside of guest code\n");
    assert_eq!(is_host, status > 128, "{message}");
}

fn run(name: &str) -> ! {
    let load = HostFunction::new(|caller: &mut Caller<'_, ()>, offset: i32| {
        if offset < 0 {
            // SAFETY: none; the fault is what is tested.
            unsafe { std::arch::asm!("ud2") };
        }
        let at = caller.memory().as_ptr().wrapping_add(offset as usize);
        // SAFETY: as above, where the offset is past the end: the address lies in the reservation and is not accessible.
        unsafe { at.read_volatile() };
        Ok::<(), Stop>(())
    });
    let bytes = wat::parse_str(MODULE).expect("the text is valid");
    let module = Module::parse(&bytes).expect("the module is valid");
    let mut store = ManuallyDrop::new(Store::new(StoreOptions::default(), ()).expect("a store"));
    let placement = store.place(module.info(), &[Binding::Host(load)]).expect("its import is there");
    let options = CompileOptions {
        addressing: placement.addressing.clone(),
        signatures: &placement.signatures,
        imports: &[ImportLinkage::Host],
        threads: 1,
        verify_ir: false,
        settings: CodeSettings::default(),
    };
    let image = module.compile(&options).expect("the module compiles");
    let (image, _) = wave_verifier::verify(image, &bytes, placement.terms(), 1).expect("the code is in order");
    let instance = store.load(placement, module.into_info(), image, bytes.clone()).expect("it links");
    let Some(Item::Function(function)) = store.export(instance, name) else { panic!("{name} is exported") };
    let policy = Policy::default();
    let growable: Vec<_> =
        store.growable().into_iter().map(|(base, len_bytes)| GrowableRange { base, len_bytes }).collect();
    let code = store.code_range().into();
    let plan = SealPlan { growable: &growable, guest_code: Some(code), final_pages: &[code], ..SealPlan::new(&policy) };
    let sealed = seal(&plan).expect("strict is there");
    wave_sandbox::exit(match store.call(&sealed, function, &[]) {
        Ok(_) => 0,
        Err(CallError::Stopped(stopped)) if stopped.stop == Stop::Trap(Trap::MemoryOutOfBounds) => TRAPPED,
        Err(_) => 1,
    })
}
