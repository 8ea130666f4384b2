//! The machine behind Debian's DHCP server.

use std::time::Duration;

use qemu_tests::board;
use qemu_tests::console::Mark;
use qemu_tests::keys::{Key, Kind};
use qemu_tests::netns::Netns;
use qemu_tests::or_skip;
use qemu_tests::peer::{Login, Peer, openssh};
use qemu_tests::run::run;
use qemu_tests::skip;
use qemu_tests::vm::{Machine, Vm};

use crate::LIMIT;

/// The shortest lease that it gives is two minutes.
const SOON: Duration = Duration::from_secs(240);

#[test]
fn a_lease_of_debians_server_with_all_that_it_says_and_another_when_it_has_forgotten_it() {
    or_skip!(skip::on_path(&board::under_test().qemu()));
    or_skip!(Peer::OpenSsh.here());
    let mut net = or_skip!(Netns::new("10.78.0.1/24"));
    net.serve(&[
        "--dhcp-range=10.78.0.50,10.78.0.50,255.255.255.0,120",
        "--dhcp-host=52:54:00:12:34:56,box-9",
        "--domain=lab.example",
        "--dhcp-option=option:dns-server,10.78.0.3,10.78.0.4",
        "--dhcp-option=option:mtu,1400",
        "--dhcp-option=option:router,10.78.0.77",
        "--dhcp-option=option:classless-static-route,10.99.0.0/16,10.78.0.9,0.0.0.0/0,10.78.0.1",
    ]);
    let (netdev, inside) = (Some(net.netdev()), Some(net.name.clone()));
    let vm = Vm::boot(&Machine { netdev, inside, ..Machine::direct() });
    let line = vm.console.expect(Mark::default(), &["listening on 10.78.0.50:17010"], LIMIT);
    assert!(line.contains("(eth0, from 10.78.0.1 for 120 s)"), "{line}");
    let login = Login { port: 17010, key: &Key::user(Kind::Ed25519), rekey: false };
    let cat = |net: &Netns, host: &str, file: &str| {
        let ssh = openssh(&login);
        let mut inside = net.command("ssh");
        inside.args(ssh.get_args()).args(["-o", "HostKeyAlias=[127.0.0.1]:17010", host, "cat", file]);
        run(&mut inside, LIMIT).ok()
    };
    let host = "root@10.78.0.50";
    let resolvers = cat(&net, host, "/run/cpud/resolv.conf");
    assert_eq!(resolvers, "search lab.example\nnameserver 10.78.0.3\nnameserver 10.78.0.4");
    assert_eq!(cat(&net, host, "/proc/sys/kernel/hostname"), "box-9");
    assert_eq!(cat(&net, host, "/sys/class/net/eth0/mtu"), "1400");
    // Destination and gateway, as the machine has them in memory: 121's, and not 3's.
    let routes = cat(&net, host, "/proc/net/route");
    let has = |destination: &str, gateway: &str| {
        routes.lines().any(|line| line.split_whitespace().skip(1).take(2).eq([destination, gateway]))
    };
    assert!(has("00000000", "01004E0A") && has("0000630A", "09004E0A") && !routes.contains("4D004E0A"), "{routes}");

    let before = vm.console.mark();
    net.serve(&["--dhcp-range=10.78.0.60,10.78.0.60,255.255.255.0,120", "--dhcp-option=option:dns-server,10.78.0.5"]);
    vm.console.expect(before, &["10.78.0.50 is not ours any more, says 10.78.0.1"], SOON);
    vm.console.expect(before, &["listening on 10.78.0.60:17010"], LIMIT);
    let host = "root@10.78.0.60";
    assert_eq!(cat(&net, host, "/sys/class/net/eth0/mtu"), "1500");
    assert_eq!(cat(&net, host, "/run/cpud/resolv.conf"), "nameserver 10.78.0.5");
    let routes = cat(&net, host, "/proc/net/route");
    assert!(!routes.contains("0000630A") && routes.contains("01004E0A"), "{routes}");
}
