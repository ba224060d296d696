//! What does it cost to cross between host and guest?
//!
//! Prints nanoseconds, the minimum of many rounds: entering and leaving the guest, one hostcall, one trap.
//! Run with `cargo bench -p wave-runtime`.

use std::time::Instant;
use wave_compiler::{CompileOptions, ImportLinkage, Module};
use wave_contract::artifact::CodeSettings;
use wave_policy::{Level, Policy};
use wave_runtime::{Binding, Caller, HostFunction, Item, PreparedCall, Stop, Store, StoreOptions};
use wave_sandbox::{SealPlan, Sealed};

const MODULE: &str = r#"(module
  (import "host" "null" (func $null (param i32) (result i32)))
  (func (export "empty"))
  (memory 1)
  (func (export "unreachable") unreachable)
  (func (export "out_of_bounds") (drop (i32.load offset=65536 (i32.const 0))))
  (func (export "million_hostcalls") (local $i i32)
    (loop $again
      (local.set $i (call $null (local.get $i)))
      (br_if $again (i32.lt_u (local.get $i) (i32.const 1000000)))))
  (func (export "million_iterations") (local $i i32)
    (loop $again
      (local.set $i (call $step (local.get $i)))
      (br_if $again (i32.lt_u (local.get $i) (i32.const 1000000)))))
  (func $step (param i32) (result i32) (i32.add (local.get 0) (i32.const 1))))"#;

const ROUNDS: u32 = 40;

fn main() {
    let sealed = unsealed();
    for fixed in [true, false] {
        let mut store = Store::new(StoreOptions { fixed, ..StoreOptions::default() }, ()).expect("a store");
        let calls = load(&mut store);
        let [empty, unreachable, out_of_bounds, hostcalls, iterations] = calls;
        let enter = time(100_000, || store.call_prepared(&sealed, &empty).expect("returns"));
        let mut trap = |call| time(1000, || drop(store.call_prepared(&sealed, call).expect_err("traps")));
        let (ud2, fault) = (trap(&unreachable), trap(&out_of_bounds));
        let hostcall = time(1, || store.call_prepared(&sealed, &hostcalls).expect("returns")) / 1e6;
        let call = time(1, || store.call_prepared(&sealed, &iterations).expect("returns")) / 1e6;
        let mode = if fixed { "fixed" } else { "arg" };
        println!(
            "{mode:>5}: enter and leave {enter:.2} ns, hostcall {hostcall:.2} ns, call {call:.2} ns, \
             trap {ud2:.0} ns (unreachable), {fault:.0} ns (out of bounds)"
        );
    }
}

/// Least nanoseconds per call of `body`, over rounds of `count` calls.
fn time(count: u32, mut body: impl FnMut()) -> f64 {
    let round = |_| {
        let start = Instant::now();
        (0..count).for_each(|_| body());
        start.elapsed().as_secs_f64() * 1e9 / f64::from(count)
    };
    (0..ROUNDS).map(round).fold(f64::INFINITY, f64::min)
}

fn unsealed() -> Sealed {
    let policy = Policy { level: Level::Off, ..Policy::default() };
    let plan = SealPlan::new(&policy);
    wave_sandbox::seal(&plan).expect("nothing is asked for")
}

fn load(store: &mut Store<()>) -> [PreparedCall; 5] {
    let bytes = wat::parse_str(MODULE).expect("the text is valid");
    let module = Module::parse(&bytes).expect("the module is valid");
    let null = HostFunction::new(|_: &mut Caller<()>, value: u32| Ok::<u32, Stop>(value + 1));
    let placement = store.place(module.info(), &[Binding::Host(null)]).expect("the import fits");
    let image = module
        .compile(&CompileOptions {
            addressing: placement.addressing.clone(),
            signatures: &placement.signatures,
            imports: &[ImportLinkage::Host],
            threads: 1,
            verify_ir: false,
            settings: CodeSettings::default(),
        })
        .expect("the module compiles");
    let (image, _) = wave_verifier::verify(image, &bytes, placement.terms(), 1).expect("the code is in order");
    let instance = store.load(placement, module.into_info(), image, bytes.clone()).expect("the image fits");
    ["empty", "unreachable", "out_of_bounds", "million_hostcalls", "million_iterations"].map(|name| {
        match store.export(instance, name) {
            Some(Item::Function(function)) => store.prepare(function).expect("no parameters"),
            _ => panic!("no function {name}"),
        }
    })
}
