//! Resources that components define: handles are checked by generated code.

mod common;

use common::{Host, Running, exports, lowered};
use wave_runtime::{Item, Trap, Value};

/// A component that uses handles of its own resource: `new`, `rep` and `drop` are the built-in functions.
fn alone(destructor: bool) -> String {
    let destructor = if destructor { "(dtor (core func $note))" } else { "" };
    format!(
        r#"(component
          (import "host" (instance $host (export "note" (func (param "value" u32)))))
          (core func $note (canon lower (func $host "note")))
          (type $r (resource (rep i32) {destructor})) (type $s (resource (rep i32)))
          (core func $new (canon resource.new $r)) (core func $rep (canon resource.rep $r)) (core func $drop (canon resource.drop $r))
          (core func $other (canon resource.new $s))
          (core module $m
            (import "" "new" (func $new (param i32) (result i32))) (import "" "rep" (func $rep (param i32) (result i32)))
            (import "" "drop" (func $drop (param i32))) (import "" "other" (func $other (param i32) (result i32)))
            (func (export "new") (param i32) (result i32) (call $new (local.get 0)))
            (func (export "other") (param i32) (result i32) (call $other (local.get 0)))
            (func (export "rep") (param i32) (result i32) (call $rep (local.get 0)))
            (func (export "drop") (param i32) (result i32) (call $drop (local.get 0)) (i32.const 0)))
          (core instance $m (instantiate $m (with "" (instance
            (export "new" (func $new)) (export "rep" (func $rep)) (export "drop" (func $drop)) (export "other" (func $other))))))
          (func (export "new") (param "a" u32) (result u32) (canon lift (core func $m "new")))
          (func (export "other") (param "a" u32) (result u32) (canon lift (core func $m "other")))
          (func (export "rep") (param "a" u32) (result u32) (canon lift (core func $m "rep")))
          (func (export "drop") (param "a" u32) (result u32) (canon lift (core func $m "drop"))))"#
    )
}

#[test]
fn handles_are_numbers_in_a_table_of_the_component() {
    let mut running = Running::of(&alone(true));
    // Values of any kind can be represented, and the first handle is 1.
    let reps = [0, -1, 7, i32::MIN];
    for (rep, handle) in reps.into_iter().zip(1..) {
        assert_eq!(running.number("new", &[rep]), handle);
    }
    for (rep, handle) in reps.into_iter().zip(1..) {
        assert_eq!(running.number("rep", &[handle]), rep);
    }
    // Free numbers are used again, the last first. There is one table for all types.
    running.number("drop", &[2]);
    running.number("drop", &[3]);
    assert_eq!([running.number("other", &[50]), running.number("new", &[60]), running.number("new", &[70])], [3, 2, 5]);
    assert_eq!(running.number("rep", &[2]), 60);
    assert_eq!(
        running.store.data_mut().calls,
        [format!("note {}", u32::MAX), "note 7".to_owned()],
        "the destructor was called"
    );
}

#[test]
fn wrong_handles_trap() {
    for handle in [0, 3, 4, -1, 1 << 28, i32::MAX, i32::MIN] {
        for function in ["rep", "drop"] {
            let mut running = Running::of(&alone(true));
            assert_eq!((running.number("new", &[5]), running.number("other", &[6])), (1, 2));
            assert_eq!(running.traps(function, &[handle]), Trap::Unreachable, "{function} {handle}");
            assert!(running.store.data_mut().calls.is_empty());
        }
    }
    // Of another type, and dropped before.
    for function in ["rep", "drop"] {
        let mut running = Running::of(&alone(false));
        assert_eq!((running.number("new", &[5]), running.number("other", &[6])), (1, 2));
        assert_eq!(running.traps(function, &[2]), Trap::Unreachable, "{function}");
        let mut running = Running::of(&alone(false));
        assert_eq!(running.number("new", &[5]), 1);
        running.number("drop", &[1]);
        assert_eq!(running.traps(function, &[1]), Trap::Unreachable, "{function}");
    }
}

/// More handles than a page of memory has room for.
#[test]
fn tables_of_handles_grow() {
    let mut running = Running::of(&alone(false));
    for handle in 1..=10_000 {
        assert_eq!(running.number("new", &[handle * 3]), handle);
    }
    assert_eq!((running.number("rep", &[1]), running.number("rep", &[10_000])), (3, 30_000));
    assert_eq!(running.traps("rep", &[10_001]), Trap::Unreachable);
}

/// One component defines a resource, the other has handles to it. `g` of the other has this body.
fn shared(imports: &str, g: &str, callee: &str) -> String {
    format!(
        r#"(component
          (import "host" (instance $host (export "note" (func (param "value" u32)))))
          (component $owner
            (import "note" (func $note (param "value" u32)))
            (core func $note (canon lower (func $note)))
            (type $r' (resource (rep i32) (dtor (core func $note)))) (export $r "r" (type $r'))
            (core func $new (canon resource.new $r)) (core func $drop (canon resource.drop $r))
            (core module $m
              (import "" "new" (func $new (param i32) (result i32))) (import "" "drop" (func $drop (param i32)))
              (import "" "note" (func $note (param i32)))
              (func (export "make") (param i32) (result i32) (call $new (local.get 0)))
              (func (export "look") (param i32) (result i32) (local.get 0))
              (func (export "take") (param i32) (result i32) (call $note (i32.const 9)) (call $drop (local.get 0)) (i32.const 0)))
            (core instance $m (instantiate $m (with "" (instance
              (export "new" (func $new)) (export "drop" (func $drop)) (export "note" (func $note))))))
            (func (export "make") (param "rep" u32) (result (own $r)) (canon lift (core func $m "make")))
            (func (export "look") (param "r" (borrow $r)) (result u32) (canon lift (core func $m "look")))
            (func (export "take") (param "r" (own $r)) (result u32) (canon lift (core func $m "take"))))
          (instance $owner (instantiate $owner (with "note" (func $host "note"))))
          (component $middle
            (import "r" (type $r (sub resource)))
            (import "look" (func $look (param "r" (borrow $r)) (result u32)))
            (core func $look (canon lower (func $look))) (core func $drop (canon resource.drop $r))
            (core module $m
              (import "" "look" (func $look (param i32) (result i32))) (import "" "drop" (func $drop (param i32)))
              (func (export "lend") (param i32) (result i32) {callee}))
            (core instance $m (instantiate $m (with "" (instance (export "look" (func $look)) (export "drop" (func $drop))))))
            (func (export "lend") (param "r" (borrow $r)) (result u32) (canon lift (core func $m "lend"))))
          (instance $middle (instantiate $middle (with "r" (type $owner "r")) (with "look" (func $owner "look"))))
          (component $user
            (import "r" (type $r (sub resource)))
            (import "make" (func $make (param "rep" u32) (result (own $r))))
            (import "look" (func $look (param "r" (borrow $r)) (result u32)))
            (import "lend" (func $lend (param "r" (borrow $r)) (result u32)))
            (import "take" (func $take (param "r" (own $r)) (result u32)))
            (core func $make (canon lower (func $make))) (core func $look (canon lower (func $look)))
            (core func $lend (canon lower (func $lend)))
            (core func $take (canon lower (func $take))) (core func $drop (canon resource.drop $r))
            (core module $m
              (import "" "make" (func $make (param i32) (result i32))) (import "" "look" (func $look (param i32) (result i32)))
              (import "" "lend" (func $lend (param i32) (result i32)))
              (import "" "take" (func $take (param i32) (result i32))) (import "" "drop" (func $drop (param i32)))
              {imports}
              (func (export "g") (param $n i32) (result i32) (local $h i32) {g}))
            (core instance $m (instantiate $m (with "" (instance (export "make" (func $make)) (export "look" (func $look))
              (export "lend" (func $lend)) (export "take" (func $take)) (export "drop" (func $drop))))))
            (func (export "g") (param "n" u32) (result u32) (canon lift (core func $m "g"))))
          (instance $user (instantiate $user (with "r" (type $owner "r")) (with "make" (func $owner "make"))
            (with "look" (func $owner "look")) (with "lend" (func $middle "lend")) (with "take" (func $owner "take"))))
          (export "g" (func $user "g")))"#
    )
}

const MAKE: &str = "(local.set $h (call $make (local.get $n)))";
const LOOK_AND_DROP: &str = "(call $look (local.get 0)) (call $drop (local.get 0))";

fn user(g: &str, callee: &str) -> Running {
    Running::with(&shared("", g, callee), Host::default())
}

#[test]
fn owned_handles_move() {
    // The user's first handle is its own, whatever number it had at the owner.
    let mut running = user(&format!("{MAKE} (local.get $h)"), LOOK_AND_DROP);
    assert_eq!((running.number("g", &[40]), running.number("g", &[41])), (1, 2));
    // Who defines the resource gets what a lent handle stands for.
    let mut running = user(&format!("{MAKE} (call $look (local.get $h))"), LOOK_AND_DROP);
    assert_eq!(running.number("g", &[40]), 40);
    // A handle that was given away is gone.
    let take = format!("{MAKE} (drop (call $take (local.get $h)))");
    let mut running = user(&format!("{take} (i32.const 3)"), LOOK_AND_DROP);
    assert_eq!(running.number("g", &[40]), 3);
    assert_eq!(running.store.data_mut().calls, ["note 9", "note 40"]);
    for after in
        ["(call $look (local.get $h))", "(call $take (local.get $h))", "(call $drop (local.get $h)) (i32.const 0)"]
    {
        assert_eq!(user(&format!("{take} {after}"), LOOK_AND_DROP).traps("g", &[40]), Trap::Unreachable, "{after}");
    }
    // The destructor is the owner's, whoever drops the handle.
    let mut running = user(&format!("{MAKE} (call $drop (local.get $h)) (i32.const 4)"), LOOK_AND_DROP);
    assert_eq!(running.number("g", &[42]), 4);
    assert_eq!(running.store.data_mut().calls, ["note 42"]);
}

#[test]
fn lent_handles_come_back() {
    // The one in the middle lends on what was lent to it, and drops it.
    let lend = format!("{MAKE} (drop (call $lend (local.get $h))) (call $lend (local.get $h))");
    let mut running = user(&lend, LOOK_AND_DROP);
    assert_eq!((running.number("g", &[40]), running.number("g", &[41])), (40, 41));
    assert!(running.store.data_mut().calls.is_empty(), "the drop of a lent handle destroys nothing");
    // It must drop it, and only once.
    for (callee, what) in [
        ("(call $look (local.get 0))", "kept"),
        ("(call $drop (local.get 0)) (call $drop (local.get 0)) (i32.const 0)", "dropped twice"),
        ("(call $drop (local.get 0)) (call $look (local.get 0))", "used after the drop"),
    ] {
        assert_eq!(user(&lend, callee).traps("g", &[40]), Trap::Unreachable, "{what}");
    }
    // What is lent was not given away.
    let give = format!("{MAKE} (drop (call $lend (local.get $h))) (call $take (local.get $h))");
    assert_eq!(user(&give, LOOK_AND_DROP).number("g", &[40]), 0);
}

/// Two components with things of the host. `lend`, `give` and `all` of `$other` have these bodies, `g` of `$user` the last one.
fn of_the_host(other: [&str; 3], g: &str) -> String {
    let host = r#"(import "host" (instance $host
            (export "thing" (type $thing (sub resource)))
            (export "[constructor]thing" (func (result (own $thing))))
            (export "[method]thing.look" (func (param "self" (borrow $thing)) (result u32)))
            (export "sum" (func (param "list" (list (borrow $thing))) (result u32)))
            (export "many" (func (param "count" u32) (result (list (own $thing)))))
            (export "double" (func (param "value" u32) (result u32)))))
          (alias export $host "thing" (type $thing))"#;
    let library = r#"(core module $library (memory (export "memory") 1) (global $next (mut i32) (i32.const 1024))
            (func (export "realloc") (param i32 i32 i32 i32) (result i32)
              (global.get $next) (global.set $next (i32.add (global.get $next) (local.get 3)))))
          (core instance $library (instantiate $library))
          (core func $new (canon lower (func $host "[constructor]thing")))
          (core func $look (canon lower (func $host "[method]thing.look")))
          (core func $sum (canon lower (func $host "sum") (memory (core memory $library "memory"))))
          (core func $many (canon lower (func $host "many")
            (memory (core memory $library "memory")) (realloc (core func $library "realloc"))))
          (core func $drop (canon resource.drop $thing)) (core func $double (canon lower (func $host "double")))"#;
    let given = r#"(export "new" (func $new)) (export "look" (func $look)) (export "sum" (func $sum))
              (export "many" (func $many)) (export "drop" (func $drop)) (export "double" (func $double))
              (export "memory" (memory $library "memory"))"#;
    let imports = r#"(import "" "new" (func $new (result i32))) (import "" "look" (func $look (param i32) (result i32)))
              (import "" "sum" (func $sum (param i32 i32) (result i32))) (import "" "many" (func $many (param i32 i32)))
              (import "" "drop" (func $drop (param i32))) (import "" "double" (func $double (param i32) (result i32)))
              (import "" "memory" (memory 1))"#;
    let [lend, give, all] = other;
    format!(
        r#"(component {host}
          (component $other {host} {library}
            (core module $m {imports}
              (func (export "lend") (param i32) (result i32) {lend})
              (func (export "give") (param i32) (result i32) {give})
              (func (export "all") (param $at i32) (param $count i32) (result i32) {all}))
            (core instance $m (instantiate $m (with "" (instance {given}))))
            (func (export "lend") (param "thing" (borrow $thing)) (result u32) (canon lift (core func $m "lend")))
            (func (export "give") (param "thing" (own $thing)) (result u32) (canon lift (core func $m "give")))
            (func (export "all") (param "things" (list (borrow $thing))) (result u32) (canon lift (core func $m "all")
              (memory (core memory $library "memory")) (realloc (core func $library "realloc")))))
          (instance $other (instantiate $other (with "host" (instance $host))))
          (component $user {host} {library}
            (import "lend" (func $lend (param "thing" (borrow $thing)) (result u32)))
            (import "give" (func $give (param "thing" (own $thing)) (result u32)))
            (import "all" (func $all (param "things" (list (borrow $thing))) (result u32)))
            (core func $lend (canon lower (func $lend))) (core func $give (canon lower (func $give)))
            (core func $all (canon lower (func $all) (memory (core memory $library "memory"))))
            (core module $m {imports}
              (import "other" "lend" (func $lend (param i32) (result i32)))
              (import "other" "give" (func $give (param i32) (result i32)))
              (import "other" "all" (func $all (param i32 i32) (result i32)))
              (func (export "g") (param $n i32) (result i32) (local $a i32) (local $b i32) {g}))
            (core instance $m (instantiate $m (with "" (instance {given})) (with "other" (instance
              (export "lend" (func $lend)) (export "give" (func $give)) (export "all" (func $all))))))
            (func (export "g") (param "n" u32) (result u32) (canon lift (core func $m "g"))))
          (instance $user (instantiate $user (with "host" (instance $host)) (with "lend" (func $other "lend"))
            (with "give" (func $other "give")) (with "all" (func $other "all"))))
          (export "g" (func $user "g")))"#
    )
}

const LOOK: &str = "(call $look (local.get 0)) (call $drop (local.get 0))";
const DROP: &str = "(call $drop (local.get 0)) (i32.const 0)";
const SUM: &str = "(call $sum (local.get $at) (local.get $count))
  (loop $each (if (local.get $count) (then (call $drop (i32.load (local.get $at)))
    (local.set $at (i32.add (local.get $at) (i32.const 4))) (local.set $count (i32.sub (local.get $count) (i32.const 1)))
    (br $each))))";
const NEW: &str = "(local.set $a (call $new)) (local.set $b (call $new))";

fn things(g: &str) -> Running {
    Running::of(&of_the_host([LOOK, DROP, SUM], g))
}

/// The things of this host have the numbers from 100 on.
#[test]
fn components_have_handles_of_their_own_for_what_is_the_hosts() {
    // Its own numbers, from 1 on, and the host gets those that it gave out.
    let mut running = things(&format!("{NEW} (i32.add (i32.mul (local.get $a) (i32.const 10)) (local.get $b))"));
    assert_eq!((running.number("g", &[0]), running.number("g", &[0])), (12, 34));
    let mut running = things(&format!("{NEW} (call $look (local.get $b))"));
    assert_eq!(running.number("g", &[0]), 101);
    assert_eq!(running.store.data_mut().calls, ["look 101"]);
    // Lent to the other, who lends it to the host.
    let mut running = things(&format!("{NEW} (call $lend (local.get $b))"));
    assert_eq!((running.number("g", &[0]), running.number("g", &[0])), (101, 103));
    assert_eq!(running.store.data_mut().calls, ["look 101", "look 103"]);
    // Given away: it is gone here, and dropped once.
    let give = format!("{NEW} (drop (call $give (local.get $b)))");
    let mut running = things(&format!("{give} (call $look (local.get $a))"));
    assert_eq!(running.number("g", &[0]), 100);
    assert_eq!(running.store.data_mut().calls, ["drop 101", "look 100"]);
    for gone in
        ["(call $look (local.get $b))", "(call $give (local.get $b))", "(call $drop (local.get $b)) (i32.const 0)"]
    {
        assert_eq!(things(&format!("{give} {gone}")).traps("g", &[0]), Trap::Unreachable, "{gone}");
    }
    // Dropped by who made it.
    let mut running = things(&format!("{NEW} (call $drop (local.get $a)) (i32.const 5)"));
    assert_eq!(running.number("g", &[0]), 5);
    assert_eq!(running.store.data_mut().calls, ["drop 100"]);
}

#[test]
fn a_component_cannot_guess_handles_of_another() {
    // The user has two things and gives one to the other, whose handle of it is 1. No other number is one there.
    for number in [1, 2, 100, 101, 0, -1] {
        for call in ["(call $look (i32.const N))", "(call $drop (i32.const N)) (i32.const 0)"] {
            let call = call.replace('N', &number.to_string());
            let give = format!("{NEW} (drop (call $give (local.get $b))) (i32.const 0)");
            let mut running = Running::of(&of_the_host([LOOK, &call, SUM], &give));
            if number == 1 {
                assert_eq!(running.number("g", &[0]), 0);
                assert!(running.store.data_mut().calls[0].ends_with(" 101"));
            } else {
                assert_eq!(running.traps("g", &[0]), Trap::Unreachable, "{call}");
                assert!(running.store.data_mut().calls.is_empty(), "{call}");
            }
        }
    }
    // What is lent must be dropped before the end, and once.
    for (lend, what) in [
        ("(call $look (local.get 0))", "kept"),
        ("(call $drop (local.get 0)) (call $look (local.get 0))", "used after the drop"),
        ("(call $drop (local.get 0)) (call $drop (local.get 0)) (i32.const 0)", "dropped twice"),
    ] {
        let text = of_the_host([lend, DROP, SUM], "(call $lend (call $new))");
        assert_eq!(Running::of(&text).traps("g", &[0]), Trap::Unreachable, "{what}");
    }
}

/// The host sees its own numbers in lists, and the memory of the component stays as it is.
#[test]
fn handles_in_memory_are_translated() {
    let list = format!("{NEW} (i32.store (i32.const 64) (local.get $b)) (i32.store (i32.const 68) (local.get $a))");
    let mut running = things(&format!("{list} (call $sum (i32.const 64) (i32.const 2))"));
    assert_eq!((running.number("g", &[0]), running.number("g", &[0])), (201, 205));
    let mut running =
        things(&format!("{list} (drop (call $sum (i32.const 64) (i32.const 2))) (i32.load (i32.const 64))"));
    assert_eq!(running.number("g", &[0]), 2);
    let mut running = things(&format!("{list} (call $all (i32.const 64) (i32.const 2))"));
    assert_eq!((running.number("g", &[0]), running.number("g", &[0])), (201, 205));
    for (at, count) in [(64, 3), (66, 1), (65532, 2), (65536, 1)] {
        let mut running = things(&format!("{list} (call $sum (i32.const {at}) (i32.const {count}))"));
        assert_eq!(running.traps("g", &[0]), Trap::Unreachable, "{at} {count}");
    }
    // A result with many, in memory that the component allocates, again and again.
    let many = "(drop (memory.grow (i32.const 2))) (call $many (local.get $n) (i32.const 32))
      (local.set $a (i32.load (i32.const 32)))";
    let mut running = things(&format!(
        "{many} (i32.add (i32.mul (i32.load (i32.const 36)) (i32.const 1000)) (call $look (i32.load offset=4 (local.get $a))))"
    ));
    let numbers = [2, 3, 30_000].map(|count| running.number("g", &[count]));
    assert_eq!(numbers, [2101, 3103, 30_000_106]);
    let mut running = things(&format!("{many} (i32.load offset=4 (local.get $a))"));
    assert_eq!((running.number("g", &[2]), running.number("g", &[2])), (2, 4));
    assert_eq!(things("(call $many (i32.const 1) (i32.const 34)) (i32.const 0)").traps("g", &[0]), Trap::Unreachable);
}

/// A component with a resource, of which the host has handles.
fn exported(body: &str) -> String {
    format!(
        r#"(component
          (import "host" (instance $host (export "note" (func (param "value" u32)))))
          (core func $note (canon lower (func $host "note")))
          (type $r' (resource (rep i32) (dtor (core func $note)))) (export $r "r" (type $r'))
          (core func $new (canon resource.new $r)) (core func $drop (canon resource.drop $r))
          (core module $m
            (import "" "new" (func $new (param i32) (result i32))) (import "" "drop" (func $drop (param i32)))
            (memory (export "memory") 1) (global $next (mut i32) (i32.const 1024))
            (global $cleaned (mut i32) (i32.const 0))
            (func (export "realloc") (param i32 i32 i32 i32) (result i32)
              (global.get $next) (global.set $next (i32.add (global.get $next) (local.get 3))))
            (func (export "make") (param i32) (result i32) (call $new (local.get 0)))
            (func (export "look") (param i32) (result i32) {body} (local.get 0))
            (func (export "take") (param i32) (call $drop (local.get 0)))
            (func (export "pair") (result i32)
              (i32.store (i32.const 64) (call $new (i32.const 70))) (i32.store (i32.const 68) (i32.const 200))
              (i32.store (i32.const 72) (i32.const 2)) (i32.store16 (i32.const 200) (i32.const 0x6968)) (i32.const 64))
            (func (export "post") (param i32) (global.set $cleaned (i32.add (global.get $cleaned) (i32.const 1))))
            (func (export "cleaned") (result i32) (global.get $cleaned))
            (func (export "sum") (param $at i32) (param $count i32) (result i32) (local $sum i32)
              (loop $each (if (local.get $count) (then
                (local.set $sum (i32.add (local.get $sum) (i32.load (local.get $at))))
                (local.set $at (i32.add (local.get $at) (i32.const 4)))
                (local.set $count (i32.sub (local.get $count) (i32.const 1))) (br $each))))
              (local.get $sum)))
          (core instance $m (instantiate $m (with "" (instance (export "new" (func $new)) (export "drop" (func $drop))))))
          (func (export "make") (param "rep" u32) (result (own $r)) (canon lift (core func $m "make")))
          (func (export "look") (param "r" (borrow $r)) (result u32) (canon lift (core func $m "look")))
          (func (export "take") (param "r" (own $r)) (canon lift (core func $m "take")))
          (func (export "cleaned") (result u32) (canon lift (core func $m "cleaned")))
          (func (export "pair") (result (tuple (own $r) string)) (canon lift (core func $m "pair")
            (memory (core memory $m "memory")) (post-return (core func $m "post"))))
          (func (export "sum") (param "all" (list (borrow $r))) (result u32) (canon lift (core func $m "sum")
            (memory (core memory $m "memory")) (realloc (core func $m "realloc")))))"#
    )
}

#[test]
fn the_host_has_handles_of_what_a_component_exports() {
    let text = exported("");
    let mut running = Running::of(&text);
    assert_eq!((running.number("make", &[40]), running.number("make", &[41])), (1, 2));
    assert_eq!((running.number("look", &[1]), running.number("look", &[2])), (40, 41));
    running.call("take", &[Value::I32(1)]).expect("it is the host's");
    assert_eq!(running.store.data_mut().calls, ["note 40"]);
    // The number is free again.
    assert_eq!((running.number("make", &[42]), running.number("look", &[1])), (1, 42));
    running.call("[resource-drop]r", &[Value::I32(2)]).expect("it is the host's");
    assert_eq!(running.store.data_mut().calls, ["note 40", "note 41"]);
    for (name, handle) in [("look", 2), ("take", 2), ("[resource-drop]r", 2), ("look", 0), ("look", 3), ("take", -1)] {
        let mut running = Running::of(&text);
        assert_eq!((running.number("make", &[40]), running.number("make", &[41])), (1, 2));
        running.call("take", &[Value::I32(2)]).expect("it is the host's");
        assert_eq!(running.traps(name, &[handle]), Trap::Unreachable, "{name} {handle}");
    }
    // Who defines a resource gets what a lent handle stands for, which is no handle of its own.
    let mut running = Running::of(&exported("(call $drop (local.get 0))"));
    assert_eq!(running.number("make", &[40]), 1);
    assert_eq!(running.traps("look", &[1]), Trap::Unreachable);
}

/// Values with handles in memory are passed in a memory for that.
#[test]
fn the_host_passes_handles_in_memory() {
    let module = lowered(&exported(""));
    let names = exports(&module);
    let of = |name: &str| names.iter().find(|each| each.split('|').next() == Some(name)).expect("it is there").clone();
    let (pair, sum) = (of("pair"), of("sum"));
    let (_, number) = pair.split_once("|memory=").expect("it is not memory 0");
    let memory = format!("memory|{number}");
    assert!(names.contains(&memory) && sum == format!("sum|memory={number}"), "{names:?}");
    let mut running = Running::start(&module, Host::default()).expect("it starts");
    let memory = |running: &mut Running, at: i32, count: usize, write: Option<&[u8]>| -> Vec<u8> {
        let Some(Item::Memory(memory)) = running.store.export(running.instance, &memory) else { panic!("no memory") };
        let at = usize::try_from(at).unwrap();
        let bytes = &mut running.store.memory_mut(memory).expect("a memory")[at..at + count];
        if let Some(new) = write {
            bytes.copy_from_slice(new);
        }
        bytes.to_vec()
    };
    let word = |bytes: &[u8]| i32::from_le_bytes(bytes.try_into().unwrap());
    for handle in [1, 2] {
        let at = running.number(&pair, &[]);
        let area = memory(&mut running, at, 12, None);
        assert_eq!((word(&area[..4]), word(&area[8..])), (handle, 2));
        assert_eq!(memory(&mut running, word(&area[4..8]), 2, None), b"hi");
        // The component has cleaned up before. Then the memory for values is free.
        assert_eq!(running.number("cleaned", &[]), handle);
        assert_eq!(running.call("pair|post-return", &[Value::I32(at)]), Ok(Vec::new()));
        assert_eq!(at, 16);
    }
    let at = running.number("sum|realloc", &[0, 0, 4, 8]);
    memory(&mut running, at, 8, Some(&[1, 0, 0, 0, 2, 0, 0, 0]));
    assert_eq!(running.number(&sum, &[at, 2]), 140);
    assert_eq!(running.number("sum|realloc", &[0, 0, 4, 8]), at, "it is free again");
    memory(&mut running, at, 8, Some(&[1, 0, 0, 0, 9, 0, 0, 0]));
    assert_eq!(running.traps(&sum, &[at, 2]), Trap::Unreachable);
}
