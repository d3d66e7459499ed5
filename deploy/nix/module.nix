# services.p2pds for NixOS. `settings` are the sections of docs/configuration.md; the hardening is that of
# deploy/systemd/p2pds.service.
self: { config, lib, pkgs, ... }:

let
  cfg = config.services.p2pds;
  format = pkgs.formats.toml { };
in
{
  options.services.p2pds = {
    enable = lib.mkEnableOption "p2pds, an archive node for AT Protocol accounts";
    package = lib.mkOption {
      type = lib.types.package;
      default = self.packages.${pkgs.stdenv.hostPlatform.system}.default;
      description = "The package to use.";
    };
    settings = lib.mkOption {
      type = lib.types.submodule { freeformType = format.type; };
      default = { };
      example = { http.public_url = "https://archive.example.com"; archive.accounts = [ "alice.example.com" ]; };
      description = "Settings by section, as in the configuration file. No secrets: they would be readable by all.";
    };
    credentials = lib.mkOption {
      type = lib.types.attrsOf lib.types.path;
      default = { };
      description = "Secret settings by name, each with the file that holds it (systemd LoadCredential).";
    };
  };

  config = lib.mkIf cfg.enable {
    users.users.p2pds = { isSystemUser = true; group = "p2pds"; home = "/var/lib/p2pds"; };
    users.groups.p2pds = { };
    environment.systemPackages = [ cfg.package ];
    environment.etc."p2pds/config.toml".source = format.generate "p2pds.toml" cfg.settings;
    systemd.packages = [
      (pkgs.runCommand "p2pds-unit" { } ''
        mkdir -p $out/lib/systemd/system
        substitute ${../systemd/p2pds.service} $out/lib/systemd/system/p2pds.service \
          --replace-fail /usr/local/bin/p2pds ${lib.getExe cfg.package}
      '')
    ];
    systemd.services.p2pds = {
      wantedBy = [ "multi-user.target" ];
      restartTriggers = [ config.environment.etc."p2pds/config.toml".source ];
      serviceConfig.LoadCredential = lib.mapAttrsToList (name: path: "${name}:${toString path}") cfg.credentials;
    };
  };
}
