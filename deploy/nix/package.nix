# The program with its manual pages and completions. Tests run in continuous integration, not here.
{ lib, rustPlatform, installShellFiles, commit ? "" }:

rustPlatform.buildRustPackage {
  pname = "p2pds";
  version = (lib.importTOML ../../Cargo.toml).workspace.package.version;
  src = lib.fileset.toSource {
    root = ../..;
    fileset = lib.fileset.unions [ ../../Cargo.toml ../../Cargo.lock ../../.cargo ../../crates ../../xtask ../../docs ../../lexicons ];
  };
  cargoLock.lockFile = ../../Cargo.lock;
  cargoBuildFlags = [ "-p" "p2pds" ];
  doCheck = false;
  env.P2PDS_COMMIT = commit;
  nativeBuildInputs = [ installShellFiles ];
  postInstall = ''
    $out/bin/p2pds man --out man
    installManPage man/*.1
    for shell in bash fish zsh; do
      installShellCompletion --cmd p2pds --$shell <($out/bin/p2pds completions $shell)
    done
  '';
  meta = {
    description = "Archive node for AT Protocol accounts";
    license = with lib.licenses; [ mit asl20 ];
    mainProgram = "p2pds";
    platforms = lib.platforms.linux;
  };
}
