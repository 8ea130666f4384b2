//! init: PID 1 of the appliance, or the parent process of an ordinary daemon.
//!
//! It prepares the machine, accepts connections, forks a guard and a wire for each, prints their lines, reaps children,
//! and ends or restarts the machine when it is told to. It parses nothing that a stranger sent and never holds a key.

mod connections;
mod last_boot;
mod network;
mod preflight;
mod quotas;
mod relays;
mod rootfs;
mod settings;
mod share;
mod strangers;
mod watchdog;

use linux_raw_sys::general::SIGKILL;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::OwnedFd;
use rustix::system::RebootCommand;
use ssh_lite::Ciphers;

use crate::config::Config;
use crate::limits::{RELAY_LEAST, RELAY_MOST};
use crate::plan::cmdline::{self, Listen};
use crate::plan::kernel_line;
use crate::report::{self, RateLimit, Report, Reporter};
use crate::say;
use crate::sys::args::Args;
use crate::sys::errno::{Failure, Sentence};
use crate::sys::process::{self, Fork};
use crate::sys::{cgroup, console, fdpass, fs, memory, net, now, signal, systemd, timespec};
use connections::Connections;
use network::Network;
use relays::Relays;
use watchdog::Watchdog;

/// Listening sockets: as many as the command line may name.
type Listeners = heapless::Vec<OwnedFd, { cmdline::MAX_LISTEN }>;

/// Connections that are accepted in a row, before init looks at everything else.
const ACCEPTED: usize = 16;

/// How long init waits for the user who asked for the shutdown to leave.
const ASKER_MS: u64 = 2000;

/// How long guards may take to end their sessions before the machine goes down, while clients' files are there; and
/// after those are gone.
const NOTICE_MS: u64 = 6500;
const GOODBYE_MS: u64 = 1000;

/// How many seconds sync(2) may take before the machine goes down.
const SYNC: u64 = 5;

/// What a signal asks init to do, as in busybox's init.
enum Order {
    /// SIGTERM or SIGINT
    Restart,
    /// SIGUSR2
    PowerOff,
    /// SIGUSR1
    Halt,
}

impl Order {
    /// What a signal orders. To a daemon only its end is an order.
    fn of(signal: u32, appliance: bool) -> Option<Self> {
        match signal {
            signal::SIGTERM | signal::SIGINT => Some(Self::Restart),
            signal::SIGUSR1 if appliance => Some(Self::Halt),
            signal::SIGUSR2 if appliance => Some(Self::PowerOff),
            _ => None,
        }
    }
}

/// What the appliance has and a daemon has not.
struct Machine {
    network: Network,
    watchdog: Option<Watchdog>,
}

/// PID 1: never returns. In this order it
///
/// 1. blocks signals, mounts the file systems (`rootfs.rs`), sets the loopback interface up,
/// 2. keeps the kernel from killing it when memory is short, and sets how soon a silent client is gone,
/// 3. shows the versions, limits sessions (`quotas.rs`), and applies the settings in flash (`settings.rs`),
/// 4. forks net (`network.rs`), looks at the keys and times the ciphers (`preflight.rs`), and listens,
/// 5. arms the watchdog (`watchdog.rs`), and serves until a signal says how to end,
/// 6. ends connections, kills everything, writes out file systems, and restarts or stops the machine.
pub fn appliance() -> ! {
    signal::block_all();
    rootfs::build();
    // A machine without its console starts PID 1 without standard streams.
    step("/dev/null", fs::fill_stdio());
    step("the loopback interface", net::loopback_up());
    // When memory is short, the kernel kills what users run and not init: sessions undo this for themselves.
    step("/proc/self/oom_score_adj", fs::write_file(c"/proc/self/oom_score_adj", b"-1000"));
    // Six tries, 13 seconds: then a client that acknowledges nothing is gone (tcp(7)).
    step("tcp_retries2", fs::write_file(c"/proc/sys/net/ipv4/tcp_retries2", b"5"));
    preflight::show_versions();
    let mut config = config(&cmdline::Arguments::APPLIANCE, true);
    let mut machine = Machine { network: configure(&mut config), watchdog: None };
    let order = match serve(&config, &cmdline::Arguments::APPLIANCE.listen, Listeners::new(), &mut machine, None) {
        Ok(order) => order,
        Err(reason) => {
            // Nobody can reach this machine, so it restarts and tries again.
            say!("cpud: {reason}; restarting in 10 s");
            sleep(10);
            Order::Restart
        }
    };
    shut_down(&order, machine.watchdog)
}

/// Serves until SIGTERM or SIGINT; the exit code.
pub fn daemon(arguments: &cmdline::Arguments<'static>, args: Args) -> i32 {
    // First of all: no other descriptor may have their numbers.
    let passed = systemd::listeners(args).map_err(Failure::of("a descriptor of LISTEN_FDS is no TCP socket"));
    signal::block_all();
    step("/dev/null", fs::fill_stdio());
    let mut machine = Machine { network: Network::none(), watchdog: None };
    let served =
        passed.and_then(|passed| serve(&config(arguments, false), &arguments.listen, passed, &mut machine, Some(args)));
    match served {
        Ok(_) => 0,
        Err(reason) => {
            say!("cpud: {reason}");
            1
        }
    }
}

fn config(arguments: &cmdline::Arguments<'static>, appliance: bool) -> Config {
    Config {
        authorized_keys: arguments.authorized_keys,
        host_key: arguments.host_key,
        ciphers: Ciphers::PORTABLE,
        ninep: arguments.ninep,
        cgroups: cgroup::prepare(),
        root: rustix::process::geteuid().is_root(),
        appliance,
        limits: None,
        relay: None,
    }
}

/// Adds what the kernel's command line and the settings in flash say; the appliance's network. Its large frame is gone when
/// it returns.
#[inline(never)]
fn configure(config: &mut Config) -> Network {
    let (mut line, mut room) = ([0; 4096], [0; settings::ROOM]);
    let line = fs::read_file(c"/proc/cmdline", &mut line).unwrap_or_default();
    config.limits = if config.cgroups { quotas::set(line) } else { None };
    config.relay = quotas::chosen(kernel_line::relay_memory(line, RELAY_LEAST..=RELAY_MOST));
    Network::new(&settings::apply(line, &mut room))
}

fn step(name: &str, result: rustix::io::Result<()>) {
    if let Err(error) = result {
        say!("cpud: {name}: {}", Sentence(error));
    }
}

/// Accepts connections until a signal says what to do next: at the sockets that were passed, or else at the addresses.
/// On the appliance it arms the watchdog; a daemon's `args` say whom to tell that it is ready.
fn serve(
    config: &Config,
    addresses: &Listen,
    passed: Listeners,
    machine: &mut Machine,
    args: Option<Args>,
) -> Result<Order, Failure> {
    if !config.appliance {
        console::never_wait();
    }
    // Without it every role would keep init's descriptors.
    process::can_close_all().map_err(Failure::of("close_range(2), which Linux has since 5.9"))?;
    // A DHCP server has until init listens to answer.
    machine.network.restart(config);
    let signals = [signal::SIGCHLD, signal::SIGTERM, signal::SIGINT, signal::SIGUSR1, signal::SIGUSR2];
    let signals = signal::descriptor(&signals).map_err(Failure::of("cannot receive signals"))?;
    let (reports, reporter) = fdpass::pair().map_err(Failure::of("the roles' socket"))?;
    step("the console's socket", fs::set_nonblocking(&reporter));
    let config = &Config { ciphers: preflight::check(config)?, ..config.clone() };
    let listeners = if passed.is_empty() { listen(addresses)? } else { passed };
    preflight::show_addresses(config, &listeners);
    if config.appliance {
        machine.watchdog = Watchdog::arm();
    }
    machine.network.read_messages();
    say!("cpud: ready after {} ms", now().0);
    step("NOTIFY_SOCKET", args.map_or(Ok(()), systemd::ready));
    if config.appliance {
        // Up to here the console may block, so that no line is lost.
        console::never_wait();
        share::lower();
    }
    Ok(run(config, &listeners, &signals, &reports, &Reporter(reporter), machine))
}

/// init's loop, until a signal ends it.
fn run(
    config: &Config,
    listeners: &Listeners,
    signals: &OwnedFd,
    reports: &OwnedFd,
    reporter: &Reporter,
    machine: &mut Machine,
) -> Order {
    memory::release_stack();
    let mut connections = Connections::new();
    let mut relays = Relays::new();
    let mut limit = RateLimit::new();
    let mut accepted = false;
    loop {
        // init spends most of its time in this wait. Between two connections in a row it keeps its program's pages,
        // which it would fetch anew.
        if !core::mem::take(&mut accepted) {
            memory::release_program();
        }
        let listening = if connections.has_room() { &listeners[..] } else { &[] };
        let until = connections.due().into_iter().chain(machine.watchdog.as_ref().map(Watchdog::due)).min();
        let Some(ready) = wait(signals, reports, listening, &relays, &machine.network, until) else { continue };
        if let Some(watchdog) = &mut machine.watchdog {
            watchdog.look(listening.first());
        }
        relays.kill_unresponsive();
        connections.evict_overdue();
        machine.network.restart(config);
        machine.network.read_messages();
        // Reports come before reaping, since a role reports before it ends.
        read_reports(config, reports, &mut connections, &mut relays, &mut limit);
        while let Some(signal) = signal::next(signals) {
            if let Some(order) = Order::of(signal, config.appliance) {
                machine.watchdog.iter().for_each(Watchdog::feed);
                return end_all(config, connections, order);
            }
            connections.reap(&mut |pid, status| {
                relays.ended(pid, status);
                machine.network.ended(pid, status);
            });
        }
        for (listener, _) in listeners.iter().zip(ready).filter(|(_, ready)| *ready) {
            // Not more in a row: a long queue must not delay everything else.
            let watchdog = &mut machine.watchdog;
            let mut one = || connections.has_room() && accept(config, listener, &mut connections, watchdog, reporter);
            accepted |= (0..ACCEPTED).take_while(|_| one()).count() > 0;
        }
    }
}

/// Waits for an event; tells for each listener whether it has a connection.
fn wait(
    signals: &OwnedFd,
    reports: &OwnedFd,
    listeners: &[OwnedFd],
    relays: &Relays,
    network: &Network,
    until: Option<u64>,
) -> Option<heapless::Vec<bool, { cmdline::MAX_LISTEN }>> {
    let mut fds = heapless::Vec::<_, { cmdline::MAX_LISTEN + 3 + relays::MAX }>::new();
    let mut watch = |fd| drop(fds.push(PollFd::new(fd, PollFlags::IN)));
    listeners.iter().for_each(&mut watch);
    watch(signals);
    watch(reports);
    network.control().into_iter().for_each(&mut watch);
    let mut until = [until, network.due()].into_iter().flatten().min();
    for (control, due) in relays.awaited() {
        watch(control);
        until = Some(until.map_or(due, |until: u64| until.min(due)));
    }
    poll(&mut fds, until.map(|until| timespec(until.saturating_sub(now().0))).as_ref()).ok()?;
    Some(fds.iter().take(listeners.len()).map(|fd| !fd.revents().is_empty()).collect())
}

fn listen(addresses: &Listen) -> Result<Listeners, Failure> {
    let mut listeners = Listeners::new();
    for &address in addresses.as_slice() {
        // A kernel without IPv6 still has IPv4.
        let any_ipv4 = (core::net::Ipv4Addr::UNSPECIFIED, address.port()).into();
        let listener = match net::listen(address) {
            Err(rustix::io::Errno::AFNOSUPPORT) if address.ip().is_unspecified() => net::listen(any_ipv4),
            other => other,
        };
        match listener {
            Ok(listener) => drop(listeners.push(listener)),
            Err(error) => {
                say!("cpud: cannot listen on {address}: {}", Sentence(error));
                return Err(Failure("nowhere to listen", error));
            }
        }
    }
    Ok(listeners)
}

/// Accepts one connection; false when there was none.
fn accept(
    config: &Config,
    listener: &OwnedFd,
    connections: &mut Connections,
    watchdog: &mut Option<Watchdog>,
    reporter: &Reporter,
) -> bool {
    match net::accept(listener) {
        Ok(Some((socket, peer))) => {
            let own = watchdog.as_mut().is_some_and(|watchdog| watchdog.is_own(&socket, peer));
            if !own {
                connections.admit(config, socket, peer, reporter);
            }
            return true;
        }
        Ok(None) => {}
        // Out of descriptors or memory: the connection waits in the queue.
        Err(error) => {
            say!("cpud: cannot accept connections: {}", Sentence(error));
            sleep(1);
        }
    }
    false
}

/// Prints the roles' lines, and connects users who have logged in to their relays.
fn read_reports(
    config: &Config,
    reports: &OwnedFd,
    connections: &mut Connections,
    relays: &mut Relays,
    limit: &mut RateLimit,
) {
    let mut buffer = [0; report::MESSAGE_MAX];
    // Bounded: a role that reports without end must not starve everything else.
    for _ in 0..64 {
        let Ok((n @ 1.., fds)) = fdpass::receive(reports, &mut buffer, false) else { return };
        match report::decode(&buffer[..n]) {
            Some(Report::LoggedIn { guard, key }) => {
                let connection = fds.into_iter().next();
                let relay = connection.and_then(|connection| relays.connect(config, key, &connection, connections));
                connections.logged_in(guard, relay);
            }
            Some(Report::Lingers { guard }) => {
                if let Some(relay) = connections.relay_of(guard) {
                    relays.ask(relay);
                }
            }
            Some(Report::Line(line)) => limit.print(line),
            None => {}
        }
    }
}

/// Ends every connection, and gives guards a moment to end the sessions.
fn end_all(config: &Config, mut connections: Connections, order: Order) -> Order {
    // The user who asked for it by a word of cpud's leaves by himself, after the word's exit status.
    let (all, asked) = (connections.len(), now().0);
    while config.appliance && all > 0 && connections.len() == all && now().0 < asked + ASKER_MS {
        sleep_ms(20);
        connections.reap(&mut |_, _| ());
    }
    connections.end_sessions();
    wait_for_end(&mut connections, NOTICE_MS);
    connections.end_all();
    wait_for_end(&mut connections, GOODBYE_MS);
    order
}

fn wait_for_end(connections: &mut Connections, ms: u64) {
    let deadline = now().0 + ms;
    while !connections.is_empty() && now().0 < deadline {
        sleep_ms(20);
        connections.reap(&mut |_, _| ());
    }
}

/// Kills everything, writes out the file systems, and ends the machine's run.
fn shut_down(order: &Order, watchdog: Option<Watchdog>) -> ! {
    watchdog.iter().for_each(Watchdog::feed);
    process::kill_all(SIGKILL);
    // sync(2) never returns when a user has mounted a file server that is gone. So a child calls it and goes on from
    // there; this process goes on when that takes too long.
    match process::fork() {
        Ok(Fork::Parent(_)) => sleep(SYNC),
        Ok(Fork::Child) | Err(_) => rustix::fs::sync(),
    }
    let command = match order {
        Order::Restart => RebootCommand::Restart,
        Order::PowerOff => RebootCommand::PowerOff,
        Order::Halt => RebootCommand::Halt,
    };
    say!(
        "cpud: {}",
        match order {
            Order::Restart => "restarting",
            Order::PowerOff => "switching off",
            Order::Halt => "halted",
        }
    );
    match (order, watchdog) {
        // It stays armed, in case that the restart hangs.
        (Order::Restart, watchdog) => core::mem::forget(watchdog),
        (Order::PowerOff | Order::Halt, watchdog) => watchdog.into_iter().for_each(Watchdog::disarm),
    }
    step("reboot", rustix::system::reboot(command));
    // The machine is halted, or cannot be switched off.
    loop {
        sleep(3600);
    }
}

fn sleep(seconds: u64) {
    sleep_ms(seconds * 1000);
}

fn sleep_ms(ms: u64) {
    let _ = poll(&mut [], Some(&timespec(ms)));
}
