//! `cpud` as an ordinary daemon on this host, as other people's ssh clients see it.

mod audit;
mod check;
mod connection;
mod hostile;
mod login;
mod peers;
mod service;
mod session;
mod strangers;
mod terminal;
