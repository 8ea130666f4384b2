//! A session on a pseudo terminal.

use crate::{machine, v3};

#[test]
fn a_terminal_follows_the_window_of_the_client() {
    let vm = machine!(shared);
    // 53 is ECHO in RFC 4254 section 8: what is typed does not come back.
    let options = ["-pty", "80x24", "-mode", "53=0", "-on", "ready=resize 132x50", "-on", "ready=type go"];
    let outcome = v3(vm.port, &options, &["sh", "-c", "stty size; echo ready; read -r go; stty size"]);
    assert_eq!(outcome.ok().replace('\r', ""), "24 80\nready\n50 132");
}

#[test]
fn the_clients_own_term_replaces_the_ansi_that_its_pty_request_says() {
    let vm = machine!(shared);
    let outcome = v3(vm.port, &["-pty", "80x24", "-env", "TERM=xterm-256color"], &["sh", "-c", "echo $TERM"]);
    assert_eq!(outcome.ok(), "xterm-256color");
}
