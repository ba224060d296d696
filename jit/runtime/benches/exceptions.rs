//! What do exceptions cost where none is thrown, and what does one cost?
//!
//! The same program, call after call as C++ compiles to: once it can throw, once it would trap instead. Prints both times, their
//! ratio, and nanoseconds for throwing and catching. Run with `cargo bench -p wave-runtime --bench exceptions`.

use std::time::Instant;
use wave_compiler::{CompileOptions, Module};
use wave_contract::artifact::CodeSettings;
use wave_policy::{Level, Policy};
use wave_runtime::{Item, PreparedCall, Store, StoreOptions};
use wave_sandbox::{SealPlan, Sealed};

/// `THROW` is what ends a call that fails; nothing ever fails in the first three.
const MODULE: &str = r#"(module
  (tag $failure (param i32))
  (memory 1)
  (type $method (func (param i32) (result i32)))
  (table funcref (elem $grow $shrink $visit $check))

  ;; Recursion, with one addition a call.
  (func $fib (param i32) (result i32)
    (if (i32.gt_s (local.get 0) (i32.const 1000)) (then THROW))
    (if (result i32) (i32.lt_u (local.get 0) (i32.const 2))
      (then (local.get 0))
      (else (i32.add
        (call $fib (i32.sub (local.get 0) (i32.const 1)))
        (call $fib (i32.sub (local.get 0) (i32.const 2)))))))
  (func (export "recursion") (drop (call $fib (i32.const 24))))

  ;; Virtual methods of objects in memory.
  (func $check (type $method)
    (if (i32.eq (local.get 0) (i32.const -1)) (then THROW))
    (local.get 0))
  (func $grow (type $method)
    (i32.store offset=4 (local.get 0) (i32.add (i32.load offset=4 (local.get 0)) (i32.const 1)))
    (call $check (i32.load offset=4 (local.get 0))))
  (func $shrink (type $method)
    (i32.store offset=4 (local.get 0) (i32.shr_u (i32.load offset=4 (local.get 0)) (i32.const 1)))
    (call $check (i32.load offset=4 (local.get 0))))
  (func $visit (type $method)
    (i32.add
      (call_indirect (type $method) (local.get 0) (i32.load (local.get 0)))
      (call_indirect (type $method) (i32.load offset=4 (local.get 0)) (i32.const 3))))
  (func (export "methods") (local $i i32) (local $object i32)
    (loop $again
      (local.set $object (i32.shl (i32.and (local.get $i) (i32.const 63)) (i32.const 3)))
      (i32.store (local.get $object) (i32.and (local.get $i) (i32.const 1)))
      (drop (call $visit (local.get $object)))
      (br_if $again (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 50000)))))

  ;; Parsing: a few instructions a call, in a chain of small functions.
  (func $peek (param i32) (result i32)
    (if (i32.gt_u (local.get 0) (i32.const 65535)) (then THROW))
    (i32.load8_u (local.get 0)))
  (func $digit (param i32) (result i32)
    (i32.rem_u (call $peek (local.get 0)) (i32.const 10)))
  (func $number (param $at i32) (result i32) (local $n i32) (local $value i32)
    (loop $again
      (local.set $value (i32.add (i32.mul (local.get $value) (i32.const 10))
        (call $digit (i32.add (local.get $at) (local.get $n)))))
      (br_if $again (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 8))))
    (local.get $value))
  (func (export "parser") (local $i i32)
    (loop $again
      (drop (call $number (i32.and (local.get $i) (i32.const 32767))))
      (br_if $again (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 20000)))))

  CATCHES)"#;

/// A hundred thousand exceptions, caught by the caller, and from ten calls below with a cleanup in each.
const CATCHES: &str = r#"
  (func $throws (param i32) (throw $failure (local.get 0)))
  (func $cleans (param i32)
    (block $cleanup (result exnref)
      (try_table (catch_all_ref $cleanup)
        (if (local.get 0)
          (then (call $cleans (i32.sub (local.get 0) (i32.const 1))))
          (else (call $throws (local.get 0)))))
      (return))
    (throw_ref))
  (func (export "near") (local $i i32)
    (loop $again
      (block $caught (result i32) (try_table (catch $failure $caught) (call $throws (local.get $i))) (unreachable))
      (drop)
      (br_if $again (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 100000)))))
  (func (export "far") (local $i i32)
    (loop $again
      (block $caught (result i32) (try_table (catch $failure $caught) (call $cleans (i32.const 9))) (unreachable))
      (drop)
      (br_if $again (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 100000)))))"#;

const ROUNDS: u32 = 60;

fn main() {
    let sealed = unsealed();
    for fixed in [true, false] {
        let options = StoreOptions { fixed, ..StoreOptions::default() };
        let [mut throwing, mut trapping] = [(); 2].map(|()| Store::new(options, ()).expect("a store"));
        let kernels = ["recursion", "methods", "parser"];
        let throws = MODULE.replace("THROW", "(throw $failure (i32.const 1))");
        let with = load(
            &mut throwing,
            &throws.replace("CATCHES", CATCHES),
            &["recursion", "methods", "parser", "near", "far"],
        );
        let traps =
            MODULE.replace("THROW", "unreachable").replace("(tag $failure (param i32))", "").replace("CATCHES", "");
        let without = load(&mut trapping, &traps, &kernels);
        let mode = if fixed { "fixed" } else { "arg" };
        let mut product = 1.0;
        for (name, (with, without)) in kernels.iter().zip(with.iter().zip(&without)) {
            // By turns, so that both see the same machine.
            let (mut checked, mut unchecked) = (f64::INFINITY, f64::INFINITY);
            for _ in 0..ROUNDS {
                checked = checked.min(time(|| throwing.call_prepared(&sealed, with).expect("returns")));
                unchecked = unchecked.min(time(|| trapping.call_prepared(&sealed, without).expect("returns")));
            }
            product *= checked / unchecked;
            println!(
                "{mode:>5}: {name:<9} {:.3} ms, without exceptions {:.3} ms, ratio {:.3}",
                checked * 1e3,
                unchecked * 1e3,
                checked / unchecked
            );
        }
        println!("{mode:>5}: geometric mean of the ratios {:.3}", f64::powf(product, 1.0 / 3.0));
        let mut each = |call| {
            let rounds = (0..ROUNDS).map(|_| time(|| throwing.call_prepared(&sealed, call).expect("returns")));
            rounds.fold(f64::INFINITY, f64::min) * 1e9 / 1e5
        };
        println!("{mode:>5}: one exception {:.0} ns, through ten cleanups {:.0} ns", each(&with[3]), each(&with[4]));
    }
}

fn time(body: impl FnOnce()) -> f64 {
    let start = Instant::now();
    body();
    start.elapsed().as_secs_f64()
}

fn unsealed() -> Sealed {
    let policy = Policy { level: Level::Off, ..Policy::default() };
    let plan = SealPlan::new(&policy);
    wave_sandbox::seal(&plan).expect("nothing is asked for")
}

fn load(store: &mut Store<()>, text: &str, names: &[&str]) -> Vec<PreparedCall> {
    let bytes = wat::parse_str(text).expect("the text is valid");
    let module = Module::parse(&bytes).expect("the module is valid");
    let placement = store.place(module.info(), &[]).expect("there are no imports");
    let image = module
        .compile(&CompileOptions {
            addressing: placement.addressing.clone(),
            signatures: &placement.signatures,
            imports: &[],
            threads: 1,
            verify_ir: false,
            settings: CodeSettings::default(),
        })
        .expect("the module compiles");
    let (image, _) = wave_verifier::verify(image, &bytes, placement.terms(), 1).expect("the code is in order");
    let instance = store.load(placement, module.into_info(), image, bytes.clone()).expect("the image fits");
    store.initialize(&unsealed(), instance).expect("segments fit");
    let prepare = |name: &&str| match store.export(instance, name) {
        Some(Item::Function(function)) => store.prepare(function).expect("no parameters"),
        _ => panic!("no function {name}"),
    };
    names.iter().map(prepare).collect()
}
