//! Fuel: what each operator costs, and that a run with too little of it ends at the same place always.

use wave_compiler::{CompileOptions, Module};
use wave_contract::artifact::CodeSettings;
use wave_contract::image::{CodeImage, TrapTable};
use wave_contract::trap::TrapCode;
use wave_policy::{Level, Policy};
use wave_runtime::{CallError, Frame, Item, Stop, Store, StoreOptions, Trap};
use wave_sandbox::{SealPlan, Sealed};

fn unsealed() -> Sealed {
    let policy = Policy { level: Level::Off, ..Policy::default() };
    let plan = SealPlan::new(&policy);
    wave_sandbox::seal(&plan).expect("nothing is asked for")
}

/// What can be seen of a run.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    /// Why it stopped, and where.
    stopped: Option<(Stop, Vec<Frame>)>,
    used: Option<u64>,
    /// The first bytes of the memory.
    memory: Vec<u8>,
}

/// Runs the start function and the export `run`.
fn run(text: &str, fixed: bool, settings: CodeSettings, fuel: Option<u64>) -> Seen {
    run_altered(text, fixed, settings, fuel, |_| ())
}

/// As [`run`], with code that was altered before it is verified.
fn run_altered(
    text: &str,
    fixed: bool,
    settings: CodeSettings,
    fuel: Option<u64>,
    alter: impl FnOnce(&mut CodeImage),
) -> Seen {
    let bytes = wat::parse_str(text).expect("the text is valid");
    let module = Module::parse(&bytes).expect("the module is valid");
    let options = StoreOptions { fixed, fuel, stack_bytes: 1 << 20, ..StoreOptions::default() };
    let mut store = Store::new(options, ()).expect("a store");
    let placement = store.place(module.info(), &[]).expect("it has a place");
    let options = CompileOptions {
        addressing: placement.addressing.clone(),
        signatures: &placement.signatures,
        imports: &[],
        threads: 1,
        verify_ir: true,
        settings,
    };
    let mut image = module.compile(&options).expect("the module compiles");
    alter(&mut image);
    let (image, _) = wave_verifier::verify(image, &bytes, placement.terms(), 1).expect("the code is in order");
    let instance = store.load(placement, module.into_info(), image, bytes.clone()).expect("it loads");
    let Some(Item::Function(function)) = store.export(instance, "run") else { panic!("no `run`") };
    let sealed = unsealed();
    let stopped = match store.initialize(&sealed, instance) {
        Err(stopped) => Some(stopped),
        Ok(()) => match store.call(&sealed, function, &[]) {
            Ok(_) => None,
            Err(CallError::Stopped(stopped)) => Some(stopped),
            Err(error) => panic!("{error}"),
        },
    };
    let memory = match store.export(instance, "memory") {
        Some(Item::Memory(memory)) => store.memory_mut(memory).expect("it is the store's")[..64].to_vec(),
        _ => Vec::new(),
    };
    let stopped = stopped.map(|stopped| (stopped.stop, stopped.backtrace));
    Seen { stopped, used: store.fuel_used(), memory }
}

const FUEL: CodeSettings = CodeSettings { canonical_nans: false, fuel: true };

/// Programs that return, with what they cost.
const PROGRAMS: &[(&str, u64)] = &[
    ("(module (func (export \"run\")))", 0),
    ("(module (func (export \"run\") nop block nop end))", 0),
    ("(module (func (export \"run\") (drop (i32.const 7))))", 2),
    ("(module (func $start (drop (i32.const 7))) (start $start) (func (export \"run\") (drop (i32.const 7))))", 4),
    // 2 before the loop, 6 in each of its 10 rounds.
    (
        r#"(module (func (export "run") (local i32) (local.set 0 (i32.const 10))
             (loop (local.set 0 (i32.sub (local.get 0) (i32.const 1))) (br_if 0 (local.get 0)))))"#,
        2 + 10 * 6,
    ),
    // What lies behind a branch that is taken costs nothing.
    (
        r#"(module (func (export "run") (local i32)
             (block (br_if 0 (i32.const 1)) (local.set 0 (i32.const 1)) (local.set 0 (i32.const 1)))
             (if (local.get 0) (then unreachable) (else (local.set 0 (i32.const 1))))))"#,
        2 + 2 + 2,
    ),
    // A call costs 1, and what the callee costs.
    (
        r#"(module
             (func $factorial (param i32) (result i32)
               (if (result i32) (i32.eqz (local.get 0))
                 (then (i32.const 1))
                 (else (i32.mul (local.get 0) (call $factorial (i32.sub (local.get 0) (i32.const 1)))))))
             (func (export "run") (drop (call $factorial (i32.const 5)))))"#,
        3 + 6 * 3 + 5 * 6 + 1,
    ),
    // 2 for each of 4 entries, and 1 for what follows the outer, 3 for what follows the inner block.
    (
        r#"(module (memory (export "memory") 1)
             (func $choose (param i32)
               (block (block (br_table 0 1 0 1 (local.get 0))) (i32.store (i32.const 0) (i32.const 9))) (drop (i32.const 0)))
             (func (export "run")
               (call $choose (i32.const 0)) (call $choose (i32.const 1))
               (call $choose (i32.const 2)) (call $choose (i32.const 7))))"#,
        8 + 4 * (2 + 2) + 2 * 3,
    ),
    (
        r#"(module (type $t (func)) (table 2 funcref) (elem (i32.const 1) $f) (memory (export "memory") 1)
             (func $f (i32.store8 (i32.const 3) (i32.const 5)))
             (func (export "run") (call_indirect (type $t) (i32.const 1)) (call $f)
               (return_call_indirect (type $t) (i32.const 1))))"#,
        2 + 1 + 2 + 3 * 3,
    ),
    // One unit for each 64 bytes on top of the operators.
    (
        r#"(module (memory (export "memory") 1)
             (func (export "run")
               (memory.fill (i32.const 0) (i32.const 1) (i32.const 63))
               (memory.fill (i32.const 0) (i32.const 2) (i32.const 640))
               (memory.copy (i32.const 8) (i32.const 4) (i32.const 128))))"#,
        3 * 4 + 10 + 2,
    ),
    (
        r#"(module (memory (export "memory") 1) (data $d "0123456789012345678901234567890123456789012345678901234567890123")
             (func (export "run") (memory.init $d (i32.const 0) (i32.const 0) (i32.const 64)) (data.drop $d)
               (drop (memory.grow (i32.const 1)))))"#,
        4 + 1 + 1 + 3,
    ),
    // One unit for each entry.
    (
        r#"(module (table 20 30 funcref) (elem $e func $f $f) (func $f)
             (func (export "run")
               (drop (table.grow (ref.null func) (i32.const 5))) (table.fill (i32.const 1) (ref.null func) (i32.const 10))
               (table.init $e (i32.const 0) (i32.const 0) (i32.const 2)) (table.copy (i32.const 4) (i32.const 0) (i32.const 3))))"#,
        4 + 5 + 4 + 10 + 4 + 2 + 4 + 3,
    ),
];

#[test]
fn a_program_needs_exactly_what_its_operators_cost() {
    for (text, cost) in PROGRAMS {
        for fixed in [true, false] {
            let seen = run(text, fixed, FUEL, Some(*cost));
            assert_eq!((seen.stopped, seen.used), (None, Some(*cost)), "{text}");
            // More is left over.
            assert_eq!(run(text, fixed, FUEL, Some(cost + 1000)).used, Some(*cost), "{text}");
            assert_eq!(run(text, fixed, FUEL, Some(u64::MAX)).used, Some(*cost), "{text}");
            let unlimited = run(text, fixed, FUEL, None);
            assert_eq!((unlimited.stopped, unlimited.used), (None, None), "{text}");
            // Code that does not count runs on.
            let uncounted = run(text, fixed, CodeSettings::default(), Some(0));
            assert_eq!((uncounted.stopped, uncounted.used), (None, Some(0)), "{text}");
        }
    }
}

#[test]
fn every_smaller_budget_ends_the_run_at_one_place() {
    for (text, cost) in PROGRAMS {
        let mut last = 0;
        for budget in 0..*cost {
            let seen = run(text, true, FUEL, Some(budget));
            let Some((Stop::OutOfFuel, frames)) = &seen.stopped else { panic!("{budget} is enough: {seen:?}\n{text}") };
            assert!(frames.first().is_some_and(|frame| frame.position.is_some()), "{seen:?}");
            let used = seen.used.expect("there is a limit");
            assert!((last..=budget).contains(&used), "{budget} gave {seen:?} after {last}\n{text}");
            last = used;
            let optimized_otherwise = CodeSettings { canonical_nans: true, ..FUEL };
            for (fixed, settings) in [(true, FUEL), (false, FUEL), (false, optimized_otherwise)] {
                assert_eq!(run(text, fixed, settings, Some(budget)), seen, "{budget}\n{text}");
            }
        }
    }
}

#[test]
fn endless_programs_end() {
    let texts = [
        r#"(module (func (export "run") (loop (br 0))))"#,
        r#"(module (func (export "run") (loop (loop (br_table 0 1 (i32.const 0))))))"#,
        r#"(module (func $f (export "run") (return_call $f)))"#,
        r#"(module (type $t (func)) (table funcref (elem $f)) (func $f (export "run") (return_call_indirect (type $t) (i32.const 0))))"#,
        r#"(module (func $f (loop (br 0))) (start $f) (func (export "run")))"#,
        r#"(module (memory 16) (func (export "run") (loop (memory.fill (i32.const 0) (i32.const 0) (i32.const 0x100000)) (br 0))))"#,
    ];
    for text in texts {
        let [one, other] = [true, false].map(|fixed| run(text, fixed, FUEL, Some(100_000)));
        assert!(matches!(one.stopped, Some((Stop::OutOfFuel, _))), "{one:?}\n{text}");
        assert_eq!(one, other, "{text}");
    }
    // Deep loops are translated in another way.
    let deep = format!(r#"(module (func (export "run") {} (br 64) {}))"#, "loop ".repeat(70), "end ".repeat(70));
    assert!(matches!(run(&deep, true, FUEL, Some(1000)).stopped, Some((Stop::OutOfFuel, _))));
}

#[test]
fn a_long_operation_is_charged_before_it_begins() {
    let text = r#"(module (memory (export "memory") 65535)
        (func (export "run") (memory.fill (i32.const 0) (i32.const 1) (i32.const 0xffff0000))))"#;
    let seen = run(text, true, FUEL, Some(1000));
    assert!(matches!(seen.stopped, Some((Stop::OutOfFuel, _))), "{seen:?}");
    assert_eq!((seen.used, &*seen.memory), (Some(4), &[0; 64][..]));
}

/// Who compiled the code writes its table of traps, which can say anything.
#[test]
fn without_a_limit_nothing_is_used_up() {
    let lies = |image: &mut CodeImage| {
        let mut traps = TrapTable::default();
        image.traps.iter().for_each(|(at, _)| traps.push(at, TrapCode::OutOfFuel as u8));
        image.traps = traps;
    };
    let stop = |fuel| {
        let text = r#"(module (func (export "run") unreachable))"#;
        run_altered(text, true, CodeSettings::default(), fuel, lies).stopped.map(|(stop, _)| stop)
    };
    assert_eq!(stop(None), Some(Stop::Trap(Trap::Unreachable)));
    assert_eq!(stop(Some(10)), Some(Stop::OutOfFuel));
}
