//! Instances from outside: what traps, what stays, what the host sees. Each test runs in both modes.

use wave_compiler::{CompileOptions, ImportLinkage, Module};
use wave_contract::artifact::CodeSettings;
use wave_policy::{Level, Policy};
use wave_runtime::{
    Binding, CallError, Caller, Frame, Function, HostFunction, InstanceId, Item, LinkError, MemoryError, Stop, Stopped,
    Store, StoreOptions, Trap, Value,
};
use wave_sandbox::{SealPlan, Sealed};

fn unsealed() -> Sealed {
    let policy = Policy { level: Level::Off, ..Policy::default() };
    let plan = SealPlan::new(&policy);
    wave_sandbox::seal(&plan).expect("nothing is asked for")
}

/// Runs `test` with a store of each mode.
fn in_both_modes<T: Default>(test: impl Fn(&mut Store<T>, &Sealed)) {
    for fixed in [true, false] {
        let options =
            StoreOptions { fixed, stack_bytes: 1 << 20, memory_limit_bytes: 1 << 20, ..StoreOptions::default() };
        test(&mut Store::new(options, T::default()).expect("a store"), &unsealed());
    }
}

fn load<T>(store: &mut Store<T>, text: &str, bindings: Vec<Binding<T>>) -> Result<InstanceId, LinkError> {
    let bytes = wat::parse_str(text).expect("the text is valid");
    let module = Module::parse(&bytes).expect("the module is valid");
    let placement = store.place(module.info(), &bindings)?;
    let linkage = |host: &bool| if *host { ImportLinkage::Host } else { ImportLinkage::Guest };
    let imports: Vec<_> = placement.host_imports.iter().map(linkage).collect();
    let options = CompileOptions {
        addressing: placement.addressing.clone(),
        signatures: &placement.signatures,
        imports: &imports,
        threads: 1,
        verify_ir: true,
        settings: CodeSettings::default(),
    };
    let image = module.compile(&options).expect("the module compiles");
    let (image, _) = wave_verifier::verify(image, &bytes, placement.terms(), 1).expect("the code is in order");
    store.load(placement, module.into_info(), image, bytes.clone())
}

fn function<T>(store: &Store<T>, instance: InstanceId, name: &str) -> Function {
    match store.export(instance, name) {
        Some(Item::Function(function)) => function,
        other => panic!("{name} is {other:?}"),
    }
}

/// Calls an export that must stop.
fn stop<T>(store: &mut Store<T>, sealed: &Sealed, instance: InstanceId, name: &str) -> Stopped {
    let function = function(store, instance, name);
    match store.call(sealed, function, &[]) {
        Err(CallError::Stopped(stopped)) => stopped,
        other => panic!("{name} gave {other:?}"),
    }
}

#[test]
fn t51_a_memory_of_no_pages_has_its_guard_too() {
    in_both_modes(|store: &mut Store<()>, sealed| {
        let text = r#"(module (memory 0 1)
            (func (export "first") (drop (i32.load8_u (i32.const 0))))
            (func (export "last") (drop (i64.load offset=0xffffffff (i32.const -1))))
            (func (export "grow") (result i32)
              (drop (memory.grow (i32.const 1))) (i32.load (i32.const 65532))))"#;
        let instance = load(store, text, Vec::new()).unwrap();
        for name in ["first", "last"] {
            assert_eq!(stop(store, sealed, instance, name).stop, Stop::Trap(Trap::MemoryOutOfBounds), "{name}");
        }
        let grow = function(store, instance, "grow");
        assert_eq!(store.call(sealed, grow, &[]).unwrap(), [Value::I32(0)], "new pages are zero and can be read");
    });
}

#[test]
fn t52_memory_grows_to_its_limit_and_not_past_it() {
    in_both_modes(|store: &mut Store<()>, sealed| {
        let text = r#"(module (memory (export "memory") 15)
            (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
            (func (export "size") (result i32) (memory.size)))"#;
        let instance = load(store, text, Vec::new()).unwrap();
        let grow = function(store, instance, "grow");
        // The store's limit is 16 pages.
        for (delta, old) in [(2, -1), (-1, -1), (0, 15), (1, 15), (1, -1), (0, 16)] {
            assert_eq!(store.call(sealed, grow, &[Value::I32(delta)]).unwrap(), [Value::I32(old)], "grow by {delta}");
        }
        assert!(store.growable().is_empty(), "nothing is left to make accessible");
        let Some(Item::Memory(memory)) = store.export(instance, "memory") else { panic!("no memory") };
        assert_eq!(store.memory_mut(memory).unwrap().len(), 16 << 16);
        let Err(LinkError::Memory(MemoryError::Limit { needed, limit })) =
            load(store, "(module (memory 17))", Vec::new())
        else {
            panic!("larger than the limit")
        };
        assert_eq!((needed, limit), ((16 + 17) << 16, 16 << 16));
    });
}

#[test]
fn t52_the_limit_is_one_of_all_memories_together() {
    in_both_modes(|store: &mut Store<()>, sealed| {
        let text = r#"(module (memory 3) (memory 4 8)
            (func (export "first") (param i32) (result i32) (memory.grow 0 (local.get 0)))
            (func (export "second") (param i32) (result i32) (memory.grow 1 (local.get 0))))"#;
        let instance = load(store, text, Vec::new()).unwrap();
        let [first, second] = ["first", "second"].map(|name| function(store, instance, name));
        let most: Vec<_> = store.growable().into_iter().map(|(_, len)| len).collect();
        assert_eq!(most, [12 << 16, 8 << 16]);
        // The store's limit is 16 pages.
        for (of, delta, old) in
            [(first, 10, -1), (second, 5, -1), (second, 4, 4), (first, 6, -1), (first, 5, 3), (first, 1, -1)]
        {
            assert_eq!(store.call(sealed, of, &[Value::I32(delta)]).unwrap(), [Value::I32(old)], "by {delta}");
        }
        assert!(store.growable().is_empty(), "nothing is left to make accessible");
        let refused = load(store, "(module (memory 1))", Vec::new());
        assert!(matches!(refused, Err(LinkError::Memory(MemoryError::Limit { .. }))));
        assert!(load(store, "(module (memory 0))", Vec::new()).is_ok());
    });
}

/// What a call of an export gives: a value or a trap.
fn outcome(
    store: &mut Store<()>,
    sealed: &Sealed,
    instance: InstanceId,
    name: &str,
    args: &[Value],
) -> Result<Value, Trap> {
    let function = function(store, instance, name);
    match store.call(sealed, function, args) {
        Ok(values) => Ok(values[0]),
        Err(CallError::Stopped(Stopped { stop: Stop::Trap(trap), .. })) => Err(trap),
        other => panic!("{name} gave {other:?}"),
    }
}

/// T51: an index of 64 bits, and its sum with an offset, do not wrap.
#[test]
fn t51_64_bit_indexes_do_not_wrap() {
    in_both_modes(|store: &mut Store<()>, sealed| {
        let text = r#"(module (memory i64 2) (table i64 3 funcref)
            (data (i64.const 131064) "abcdefgh")
            (func (export "plain") (param i64) (result i64) (i64.load (local.get 0)))
            (func (export "high") (param i64) (result i64) (i64.load offset=0xfffffff8 (local.get 0)))
            (func (export "higher") (param i64) (result i64) (i64.load offset=0x100000000 (local.get 0)))
            (func (export "highest") (param i64) (result i64) (i64.load offset=0xffffffffffffffff (local.get 0)))
            (func (export "store") (param i64) (result i64) (i32.store8 (local.get 0) (i32.const 1)) (i64.const 0))
            (func (export "fill") (param i64 i64) (result i64)
              (memory.fill (local.get 0) (i32.const 1) (local.get 1)) (i64.const 0))
            (func (export "copy") (param i64 i64 i64) (result i64)
              (memory.copy (local.get 0) (local.get 1) (local.get 2)) (i64.const 0))
            (func (export "grow") (param i64) (result i64) (memory.grow (local.get 0)))
            (func (export "size") (result i64) (memory.size))
            (func (export "get") (param i64) (result i32) (ref.is_null (table.get (local.get 0))))
            (func (export "call") (param i64) (result i32) (call_indirect (result i32) (local.get 0)))
            (func (export "grow_table") (param i64) (result i64) (table.grow (ref.null func) (local.get 0)))
            (func (export "table_size") (result i64) (table.size)))"#;
        let instance = load(store, text, Vec::new()).unwrap();
        store.initialize(sealed, instance).expect("the segment fits");
        let last = i64::from_le_bytes(*b"abcdefgh");
        let mut is = |name: &str, args: &[i64], expected: Result<Value, Trap>| {
            let values: Vec<_> = args.iter().map(|value| Value::I64(*value)).collect();
            assert_eq!(outcome(store, sealed, instance, name, &values), expected, "{name} {args:x?}");
        };
        let outside = Err(Trap::MemoryOutOfBounds);
        let number = |value| Ok(Value::I64(value));
        is("plain", &[131_064], number(last));
        is("plain", &[131_065], outside);
        for high in [1_i64 << 32, 1 << 33, 1 << 63, -1, -8, i64::MIN, (1 << 32) + 131_064, -(1 << 32) + 131_064] {
            for name in ["plain", "high", "higher", "highest", "store"] {
                is(name, &[high], outside);
            }
            is("fill", &[high, 0], outside);
            is("fill", &[0, high], outside);
            is("copy", &[high, 0, 0], outside);
            is("copy", &[0, high, 0], outside);
            is("copy", &[0, 0, high], outside);
            is("grow", &[high], number(-1));
            is("grow_table", &[high], number(-1));
            is("get", &[high], Err(Trap::TableOutOfBounds));
            is("call", &[high], Err(Trap::UndefinedElement));
        }
        for low in [0, 1, 8, 131_064] {
            for name in ["high", "higher", "highest"] {
                is(name, &[low], outside);
            }
        }
        is("fill", &[131_072, 0], number(0));
        is("fill", &[131_073, 0], outside);
        is("fill", &[131_071, 1], number(0));
        is("store", &[131_071], number(0));
        is("store", &[131_072], outside);
        is("size", &[], number(2));
        is("grow", &[1], number(2));
        is("size", &[], number(3));
        is("get", &[2], Ok(Value::I32(1)));
        is("get", &[3], Err(Trap::TableOutOfBounds));
        is("call", &[2], Err(Trap::UninitializedElement));
        is("call", &[3], Err(Trap::UndefinedElement));
        is("grow_table", &[2], number(3));
        is("table_size", &[], number(5));
    });
}

/// A call of null says so, whether or not the table of functions has its first entry yet.
#[test]
fn a_call_of_a_null_reference_is_a_trap_of_its_own() {
    in_both_modes(|store: &mut Store<()>, sealed| {
        let null = r#"(module (type $f (func))
            (func (export "null") (call_ref $f (ref.null $f))))"#;
        let both = r#"(module (type $f (func))
            (elem declare func $f)
            (func $f (type $f))
            (func (export "null") (call_ref $f (ref.null $f)))
            (func (export "function") (call_ref $f (ref.func $f))))"#;
        let [null, both] = [null, both].map(|text| load(store, text, Vec::new()).unwrap());
        for instance in [null, both] {
            assert_eq!(stop(store, sealed, instance, "null").stop, Stop::Trap(Trap::NullFunction));
        }
        let called = function(store, both, "function");
        assert_eq!(store.call(sealed, called, &[]).unwrap(), []);
        assert_eq!(stop(store, sealed, null, "null").stop, Stop::Trap(Trap::NullFunction));
    });
}

/// Memory with pages of one byte ends where its length says, not at a page of the host.
#[test]
fn t51_pages_of_one_byte_end_at_the_byte() {
    in_both_modes(|store: &mut Store<()>, sealed| {
        let text = r#"(module (memory 5 9000 (pagesize 1))
            (func (export "byte") (param i32) (result i32) (i32.load8_u (local.get 0)))
            (func (export "word") (param i32) (result i32) (i32.load (local.get 0)))
            (func (export "offset") (param i32) (result i32) (i32.load8_u offset=4 (local.get 0)))
            (func (export "far") (param i32) (result i32) (i32.load8_u offset=0xffffffff (local.get 0)))
            (func (export "vector") (param i32) (result i32) (i32x4.extract_lane 0 (v128.load (local.get 0))))
            (func (export "store") (param i32) (result i32) (i32.store16 (local.get 0) (i32.const -1)) (i32.const 0))
            (func (export "size") (param i32) (result i32) (memory.size))
            (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0))))"#;
        let instance = load(store, text, Vec::new()).unwrap();
        let mut is = |name: &str, arg: i32, expected: Result<i32, Trap>| {
            let found = outcome(store, sealed, instance, name, &[Value::I32(arg)]);
            assert_eq!(found, expected.map(Value::I32), "{name} {arg}");
        };
        let outside = Err(Trap::MemoryOutOfBounds);
        is("byte", 4, Ok(0));
        is("byte", 5, outside);
        is("byte", -1, outside);
        is("word", 1, Ok(0));
        is("word", 2, outside);
        is("word", -1, outside);
        is("offset", 0, Ok(0));
        is("offset", 1, outside);
        is("offset", -1, outside);
        is("far", 0, outside);
        is("far", -1, outside);
        is("vector", 0, outside);
        is("store", 3, Ok(0));
        is("store", 4, outside);
        is("byte", 4, Ok(255));
        is("size", 0, Ok(5));
        is("grow", 4091, Ok(5));
        is("byte", 4095, Ok(0));
        is("byte", 4096, outside);
        is("grow", 1, Ok(4096));
        is("byte", 4096, Ok(0));
        is("byte", 4097, outside);
        is("vector", 4081, Ok(0));
        is("vector", 4082, outside);
        is("grow", -1, Ok(-1));
        is("grow", 4904, Ok(-1));
        is("grow", 4903, Ok(4097));
        is("grow", 1, Ok(-1));
        is("byte", 8999, Ok(0));
        is("byte", 9000, outside);
    });
}

#[test]
fn t54_a_huge_table_is_an_error_and_no_commitment() {
    in_both_modes(|store: &mut Store<()>, _| {
        let refused = load(store, "(module (table 0xffffffff funcref))", Vec::new());
        assert!(matches!(refused, Err(LinkError::Table(_))));
        assert!(
            load(store, "(module (table 1 0xffffffff funcref))", Vec::new()).is_ok(),
            "the maximum is only a bound"
        );
    });
}

#[test]
fn host_functions_see_memory_and_data_and_can_stop_the_guest() {
    in_both_modes(|store: &mut Store<Vec<u8>>, sealed| {
        let take = HostFunction::new(|caller: &mut Caller<Vec<u8>>, at: u32, len: u32| {
            let (memory, taken) = caller.parts();
            let bytes = memory.get(at as usize..(at as usize).saturating_add(len as usize));
            taken.extend(bytes.ok_or(Stop::Trap(Trap::MemoryOutOfBounds))?);
            Ok::<u64, Stop>(u64::from(len))
        });
        let exit = HostFunction::new(|_: &mut Caller<Vec<u8>>, code: u32| Err::<(), Stop>(Stop::Exit(code)));
        let text = r#"(module
            (import "host" "take" (func $take (param i32 i32) (result i64)))
            (import "host" "exit" (func $exit (param i32)))
            (memory 1) (data (i32.const 8) "hello")
            (func $all (export "all") (drop (call $take (i32.const 8) (i32.const 5))))
            (func $past (export "past") (drop (call $take (i32.const 65535) (i32.const 2))))
            (func $leave (export "leave") (call $exit (i32.const 7)) unreachable))"#;
        let instance = load(store, text, vec![Binding::Host(take), Binding::Host(exit)]).unwrap();
        store.initialize(sealed, instance).unwrap();
        let all = function(store, instance, "all");
        store.call(sealed, all, &[]).unwrap();
        assert_eq!(store.data_mut(), b"hello");
        assert_eq!(stop(store, sealed, instance, "past").stop, Stop::Trap(Trap::MemoryOutOfBounds));
        let left = stop(store, sealed, instance, "leave");
        assert_eq!(left.stop, Stop::Exit(7));
        let names: Vec<_> = left.backtrace.iter().map(|Frame { name, .. }| name.as_deref()).collect();
        assert_eq!(names, [Some("leave")]);
    });
}

#[test]
fn t61_a_trapping_start_function_leaves_other_instances_alone() {
    in_both_modes(|store: &mut Store<()>, sealed| {
        let text = r#"(module (global $calls (mut i32) (i32.const 0))
            (func (export "count") (result i32)
              (global.set $calls (i32.add (global.get $calls) (i32.const 1))) (global.get $calls)))"#;
        let good = load(store, text, Vec::new()).unwrap();
        let count = store.export(good, "count").unwrap();
        let text = r#"(module (import "good" "count" (func $count (result i32)))
            (func $start (drop (call $count)) unreachable) (start $start))"#;
        let bad = load(store, text, vec![Binding::Item(count)]).unwrap();
        let stopped = store.initialize(sealed, bad).unwrap_err();
        assert_eq!(stopped.stop, Stop::Trap(Trap::Unreachable));
        let count = function(store, good, "count");
        assert_eq!(store.call(sealed, count, &[]).unwrap(), [Value::I32(2)], "called once by the start function");
    });
}

#[test]
fn calls_are_checked_before_anything_runs() {
    in_both_modes(|store: &mut Store<()>, sealed| {
        let text = r#"(module (func (export "twice") (param i32) (result i32) (i32.mul (local.get 0) (i32.const 2))))"#;
        let instance = load(store, text, Vec::new()).unwrap();
        let twice = function(store, instance, "twice");
        assert_eq!(store.call(sealed, twice, &[Value::I32(21)]).unwrap(), [Value::I32(42)]);
        for wrong in [&[][..], &[Value::I64(1)], &[Value::I32(1), Value::I32(1)]] {
            assert!(matches!(store.call(sealed, twice, wrong), Err(CallError::Arguments { .. })), "{wrong:?}");
        }
        assert!(matches!(store.prepare(twice), Err(CallError::Arguments { .. })));
    });
}

#[test]
fn a_prepared_call_belongs_to_its_store() {
    in_both_modes(|store: &mut Store<()>, sealed| {
        let instance = load(store, r#"(module (func (export "nothing")))"#, Vec::new()).unwrap();
        let prepared = store.prepare(function(store, instance, "nothing")).unwrap();
        assert!(store.call_prepared(sealed, &prepared).is_ok());
        let mut other = Store::new(StoreOptions::default(), ()).unwrap();
        assert!(matches!(other.call_prepared(sealed, &prepared), Err(CallError::Foreign)));
    });
}

#[test]
fn many_results_cross_between_instances() {
    in_both_modes(|store: &mut Store<()>, sealed| {
        let types = "i32 i64 f32 f64 ".repeat(5);
        let values: String =
            (0..5).map(|n| format!("(i32.const {n}) (i64.const {n}) (f32.const {n}) (f64.const {n}) ")).collect();
        let text = format!(r#"(module (func (export "many") (result {types}) {values}))"#);
        let maker = load(store, &text, Vec::new()).unwrap();
        let many = store.export(maker, "many").unwrap();
        let text = format!(
            r#"(module (type $many (func (result {types}))) (import "" "many" (func $many (type $many)))
                 (table funcref (elem $many))
                 (func (export "direct") (type $many) (call $many))
                 (func (export "indirect") (type $many) (call_indirect (type $many) (i32.const 0)))
                 (func (export "tail") (type $many) (return_call $many)))"#
        );
        let user = load(store, &text, vec![Binding::Item(many)]).unwrap();
        store.initialize(sealed, user).unwrap();
        let expected: Vec<_> = (0..5i8)
            .flat_map(|n| {
                let (single, double) = (f32::from(n).to_bits(), f64::from(n).to_bits());
                [Value::I32(n.into()), Value::I64(n.into()), Value::F32(single), Value::F64(double)]
            })
            .collect();
        for name in ["direct", "indirect", "tail"] {
            let function = function(store, user, name);
            assert_eq!(store.call(sealed, function, &[]).unwrap(), expected, "{name}");
        }
    });
}

/// Waits on a shared memory that holds the expected value.
const WAITS: &str = r#"(module (memory 1 1 shared)
    (func (export "wait") (result i32) (memory.atomic.wait32 (i32.const 0) (i32.const 0) (i64.const 0x1_0000_0002)))
    (func (export "forever") (result i32) (memory.atomic.wait64 (i32.const 0) (i64.const 0) (i64.const -1)))
    (func (export "differs") (result i32) (memory.atomic.wait32 (i32.const 0) (i32.const 1) (i64.const -1))))"#;

#[test]
fn t7_a_wait_ends_by_its_timeout_alone() {
    in_both_modes(|store: &mut Store<()>, sealed| {
        let instance = load(store, WAITS, Vec::new()).unwrap();
        for (name, result) in [("wait", 2), ("differs", 1)] {
            let function = function(store, instance, name);
            assert_eq!(store.call(sealed, function, &[]).unwrap(), [Value::I32(result)], "{name}");
        }
        assert_eq!(stop(store, sealed, instance, "forever").stop, Stop::Trap(Trap::Deadlock));
    });
}

#[test]
fn an_embedder_decides_what_a_wait_is() {
    in_both_modes(|store: &mut Store<Vec<(u32, u32)>>, sealed| {
        type Waiter<'a, 'b> = &'a mut Caller<'b, Vec<(u32, u32)>>;
        let wrong = HostFunction::new(|_: Waiter, _: u32, _: u64| Ok::<u32, Stop>(2));
        assert!(matches!(store.set_wait(&wrong), Err(LinkError::Import { .. })));
        store
            .set_wait(&HostFunction::new(|caller: Waiter, low: u32, high: u32| {
                caller.data().push((low, high));
                Ok::<u32, Stop>(2)
            }))
            .unwrap();
        let instance = load(store, WAITS, Vec::new()).unwrap();
        for (name, result) in [("wait", 2), ("forever", 2), ("differs", 1)] {
            let function = function(store, instance, name);
            assert_eq!(store.call(sealed, function, &[]).unwrap(), [Value::I32(result)], "{name}");
        }
        assert_eq!(*store.data_mut(), [(2, 1), (u32::MAX, u32::MAX)]);
    });
}
