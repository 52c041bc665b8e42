//! `receive`: takes in what publishers send until told to stop.

use freshet_listen::StopSignal;
use freshet_origin::{ReceiveOptions, Store, receive};
use serde_json::json;

use super::arguments::ReceiveArguments;
use super::ready::write_json;
use super::{Failure, print_json, token};

pub(super) async fn run(arguments: ReceiveArguments) -> Result<(), Failure> {
    let store = Store::open(&arguments.store.store).map_err(Failure::usage)?;
    let token = token::read(&arguments.token_file).map_err(Failure::usage)?;
    let options = ReceiveOptions {
        tls: arguments.tls.options(),
        ..ReceiveOptions::new(store, arguments.listen, token)
    };
    // Before the address is told, so that who reads it may stop the program at once.
    let stop = StopSignal::new().map_err(Failure::failed)?;
    let receiving = receive(options).await.map_err(Failure::usage)?;
    println!("{}", receiving.address());
    tracing::info!(url = receiving.url(), store = arguments.store.store, "receiving");
    if let Some(path) = &arguments.ready_file {
        let ready = json!({ "address": receiving.address(), "url": receiving.url() });
        write_json(path, &ready).map_err(Failure::usage)?;
    }
    stop.received().await;
    print_json(&receiving.shutdown().await);
    Ok(())
}
