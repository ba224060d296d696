//! Resources that components define: handles are checked by generated code.

mod common;

use common::{Host, Running};
use wave_runtime::Trap;

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
