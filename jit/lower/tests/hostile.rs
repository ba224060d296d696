//! Components that somebody made to do harm: an error, never a panic, and in bounded time.

mod common;

use common::{component, lowered, refused};
use std::time::Instant;

/// Components that use much of what there is.
const SEEDS: [&str; 4] = [
    r#"(component
      (import "test:host/a@0.2.3" (instance $host
        (export "thing" (type $thing (sub resource)))
        (export "make" (func (param "n" u8) (result (own $thing))))
        (export "texts" (func (param "r" (tuple u8 (option s64) char)) (result (result (list string)))))))
      (core module $m
        (import "" "texts" (func $texts (param i32 i32 i64 i32 i32))) (import "" "drop" (func $drop (param i32)))
        (memory (export "memory") 1) (table 2 funcref) (global $g (export "g") i32 (i32.const 8)) (tag $t (param i32))
        (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 64))
        (func $f (export "f") (param i32 i32) (result i32) (block (br_if 0 (local.get 0)) (throw $t (i32.const 1))) (local.get 1))
        (func (export "post") (param i32)) (elem (i32.const 0) func $f $texts) (data (i32.const 3) "abc") (data $p "xyz")
        (func $start (memory.init $p (i32.const 0) (i32.const 0) (i32.const 3))) (start $start))
      (alias export $host "thing" (type $thing))
      (core func $drop (canon resource.drop $thing))
      (core module $shim (table (export "t") 1 funcref)
        (func (export "texts") (param i32 i32 i64 i32 i32)
          (call_indirect (param i32 i32 i64 i32 i32) (local.get 0) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (i32.const 0))))
      (core instance $shim (instantiate $shim))
      (core instance $m (instantiate $m (with "" (instance (export "texts" (func $shim "texts")) (export "drop" (func $drop))))))
      (core func $texts (canon lower (func $host "texts") (memory (core memory $m "memory")) (realloc (core func $m "realloc"))))
      (core module $fix (import "" "t" (table 1 funcref)) (import "" "f" (func $f (param i32 i32 i64 i32 i32)))
        (import "g" "g" (global $g i32)) (global i32 (i32.add (global.get $g) (i32.const 1)))
        (memory 1) (data (global.get $g) "q") (elem (i32.const 0) func $f))
      (core instance (instantiate $fix (with "g" (instance $m)) (with "" (instance (export "t" (table $shim "t")) (export "f" (func $texts))))))
      (func (export "f") (param "s" string) (result string) (canon lift (core func $m "f")
        (memory (core memory $m "memory")) (realloc (core func $m "realloc")) (post-return (core func $m "post")))))"#,
    r#"(component
      (component $a
        (core module $m (memory (export "memory") 1)
          (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 64))
          (func (export "f") (param i32 i32 i32 i32 i32 i32) (result i32) (i32.const 0)) (func (export "post") (param i32)))
        (core instance $m (instantiate $m))
        (type $v (variant (case "a" u8) (case "b" (list string)) (case "c"))) (export $w "v" (type $v))
        (func (export "f") (param "v" $w) (param "l" (list (tuple u8 u32))) (param "c" char) (result (option string))
          (canon lift (core func $m "f")
            (memory (core memory $m "memory")) (realloc (core func $m "realloc")) (post-return (core func $m "post")))))
      (instance $a (instantiate $a))
      (core module $memory (memory (export "memory") 1)
        (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 64)))
      (core instance $memory (instantiate $memory))
      (core func $f (canon lower (func $a "f") (memory (core memory $memory "memory")) (realloc (core func $memory "realloc"))))
      (core module $m (import "" "f" (func $f (param i32 i32 i32 i32 i32 i32 i32)))
        (func (export "g") (call $f (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))))
      (core instance $m (instantiate $m (with "" (instance (export "f" (func $f))))))
      (func (export "g") (canon lift (core func $m "g"))))"#,
    r#"(component
      (core module $run (func (export "run") (result i32) (i32.const 0)))
      (component $inner (alias outer 1 $run (core module $run)) (core instance $r (instantiate $run))
        (func (export "run") (result (result)) (canon lift (core func $r "run"))))
      (instance $i (instantiate $inner)) (instance $j (instantiate $inner))
      (export "wasi:cli/run@0.2.0" (instance $i)) (export "other" (instance $j)))"#,
    r#"(component
      (import "host" (instance $host (export "thing" (type $thing (sub resource)))
        (export "many" (func (param "text" string) (param "lent" (borrow $thing)) (result (list (own $thing)))))))
      (alias export $host "thing" (type $thing))
      (core module $m (memory (export "memory") 1)
        (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 64))
        (func (export "give") (param i32 i32 i32) (result i32) (i32.const 0)) (func (export "make") (result i32) (i32.const 1)))
      (component $owner (alias outer 1 $m (core module $m)) (import "thing" (type $thing (sub resource)))
        (core instance $m (instantiate $m)) (core func $drop (canon resource.drop $thing))
        (type $r' (resource (rep i32) (dtor (core func $drop)))) (export $r "r" (type $r'))
        (func (export "give") (param "thing" (own $thing)) (param "text" string) (result (tuple (own $r) (list string)))
          (canon lift (core func $m "give") string-encoding=latin1+utf16 (memory (core memory $m "memory"))
            (realloc (core func $m "realloc"))))
        (func (export "make") (result (own $r)) (canon lift (core func $m "make"))))
      (instance $owner (instantiate $owner (with "thing" (type $thing))))
      (core instance $m (instantiate $m))
      (core func $many (canon lower (func $host "many") string-encoding=utf16
        (memory (core memory $m "memory")) (realloc (core func $m "realloc"))))
      (core func $give (canon lower (func $owner "give") (memory (core memory $m "memory")) (realloc (core func $m "realloc"))))
      (core func $drop (canon resource.drop $thing))
      (core module $user (import "" "many" (func (param i32 i32 i32 i32))) (import "" "give" (func (param i32 i32 i32 i32)))
        (import "" "drop" (func (param i32))))
      (core instance (instantiate $user (with "" (instance
        (export "many" (func $many)) (export "give" (func $give)) (export "drop" (func $drop))))))
      (export "owner" (instance $owner)))"#,
];

#[test]
fn lowering_is_deterministic() {
    for text in SEEDS {
        let bytes = component(text);
        let first = wave_lower::lower(&bytes).expect("it is supported");
        for _ in 0..5 {
            assert!(wave_lower::lower(&bytes).expect("it is supported") == first);
        }
    }
}

/// Numbers that look random and are the same each time.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 11).unwrap() % bound
    }
}

/// Bytes are changed, removed, repeated and moved.
#[test]
fn no_bytes_make_it_panic() {
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    let (mut accepted, mut refused) = (0, 0);
    for text in SEEDS {
        let seed = component(text);
        for _ in 0..6000 {
            let mut bytes = seed.clone();
            for _ in 0..=numbers.below(3) {
                let at = numbers.below(bytes.len());
                match numbers.below(6) {
                    0 => bytes[at] = u8::try_from(numbers.below(256)).unwrap(),
                    1 => bytes[at] ^= 1 << numbers.below(8),
                    2 => bytes[at] = bytes[at].wrapping_add(1),
                    3 => bytes[at] = u8::try_from(numbers.below(16)).unwrap(),
                    4 => drop(bytes.remove(at)),
                    _ => bytes.insert(at, bytes[at]),
                }
            }
            match wave_lower::lower(&bytes) {
                Ok(_) => accepted += 1,
                Err(wave_lower::LowerError::Mistake(mistake)) => panic!("{mistake}\n{bytes:x?}"),
                Err(_) => refused += 1,
            }
        }
        for len in 0..seed.len() {
            if let Err(wave_lower::LowerError::Mistake(mistake)) = wave_lower::lower(&seed[..len]) {
                panic!("{mistake} after {len} bytes");
            }
        }
    }
    assert!(accepted > 500 && refused > 5000, "{accepted} accepted, {refused} refused");
}

/// Components in components, each of which instantiates the next twice: their number doubles with each level.
fn doubling(levels: usize, module: &str) -> String {
    let mut text = format!("(component $c0 (core module $m {module}) (core instance (instantiate $m)))");
    for level in 1..=levels {
        let inner = format!("$c{}", level - 1);
        text =
            format!("(component $c{level} {text} (instance (instantiate {inner})) (instance (instantiate {inner})))");
    }
    text
}

#[test]
fn what_grows_without_bound_is_refused() {
    let start = Instant::now();
    lowered(&doubling(8, "(func)"));
    assert_eq!(refused(&doubling(40, "")), "the component is too large: its components are instantiated too often");
    // 64 KiB of data, 2 to the power of ten times: 64 MiB from less than 70 KiB.
    let data = format!(r#"(memory 2) (data (i32.const 0) "{}")"#, "x".repeat(65_536));
    lowered(&doubling(5, &data));
    assert_eq!(refused(&doubling(10, &data)), "the component is too large: its modules are instantiated too often");
    let nested = |depth: usize| "(component ".repeat(depth) + &")".repeat(depth);
    lowered(&nested(50));
    // A bound that only a hang exceeds.
    assert!(start.elapsed().as_secs() < 120, "{:?}", start.elapsed());
}

/// Names of modules are repeated before those of functions.
#[test]
fn names_stay_in_proportion() {
    let functions: String = (0..1000).map(|at| format!("(func $f{at})")).collect();
    let bytes = component(&format!(
        "(component (core module ${} {functions}) (core instance (instantiate 0)))",
        "m".repeat(50_000)
    ));
    let module = wave_lower::lower(&bytes).expect("it is supported");
    assert!(module.len() < 2 * bytes.len(), "{} from {}", module.len(), bytes.len());
}
