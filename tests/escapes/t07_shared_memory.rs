//! T7: no memory is shared between threads, so nothing changes while it is judged.

use wave_test_support::{Wave, wat};

/// T7: a shared memory is refused at load, as are the instructions for one.
#[test]
fn is_refused_at_load() {
    for body in [
        r#"(memory (export "memory") 1 1 shared) (func (export "_start"))"#,
        r#"(memory (export "memory") 1 1) (func (export "_start") (drop (i32.atomic.load (i32.const 0))))"#,
        r#"(import "env" "memory" (memory 1 1 shared)) (func (export "_start"))"#,
        r#"(import "wasi" "thread-spawn" (func (param i32) (result i32))) (func (export "_start"))"#,
    ] {
        let (_dir, path) = wat(&format!("(module {body})"));
        let run = Wave::strict().run(path, [""; 0]);
        assert_eq!((run.status.code(), &*run.stdout), (Some(126), ""), "{body}: {run:?}");
    }
    let (_dir, path) = wat(r#"(module (memory (export "memory") 1 1) (func (export "_start")))"#);
    Wave::strict().run(path, [""; 0]).is(0, "", "");
}
