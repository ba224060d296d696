//! A server in a container.

use std::io::{Read, Write};
use std::net::TcpStream;

use wave_test_support::containers::podman::Podman;
use wave_test_support::containers::scene::until;

#[test]
fn a_published_port_is_served() {
    let Some(podman) = Podman::new() else { return };
    // Nobody else is in this network, so that the port is free.
    let flags = ["-p", "127.0.0.1:8888:8080", "--annotation", "dev.wave.tcplisten=0.0.0.0:8080"];
    podman.start("server", &flags, &["/echo.wasm"]);
    let mut connection = until("the server", || podman.scene.inside(|| TcpStream::connect("127.0.0.1:8888")).ok());
    connection.write_all(b"first\n").expect("it is connected");
    let mut line = [0; 6];
    connection.read_exact(&mut line).expect("it answers");
    assert_eq!(&line, b"first\n");
    connection.write_all(b"quit\n").expect("it is connected");
    let mut rest = String::new();
    connection.read_to_string(&mut rest).expect("it answers, then closes");
    assert_eq!(rest, "quit\n");
    assert_eq!(podman.exit_code("server"), 0);
    podman.ends();
}
