-- mod_ejabberd_api: a few commands of ejabberd's HTTP API on Prosody (0.12), so that the same REST
-- half and the same tests work with both servers. For tests only: it asks for no credentials.
-- POST /api/COMMAND, the arguments as a JSON object. What ejabberd answers is in ../../servers/README.md.
local json = require "util.json";
local st = require "util.stanza";
local jid = require "util.jid";
local usermanager = require "core.usermanager";
local rostermanager = require "core.rostermanager";
local host = module.host;
local commands = {};

local function sessions(user)
	local online = prosody.hosts[host].sessions[user];
	return online and online.sessions or {};
end

function commands.register(args)
	if usermanager.user_exists(args.user, host) then return 409; end
	if not usermanager.create_user(args.user, args.password, host) then return 500; end
	return 200, "";
end

function commands.change_password(args)
	if not usermanager.set_password(args.user, args.newpass, host, nil) then return 400; end
	return 200, 0;
end

function commands.unregister(args)
	usermanager.delete_user(args.user, host);
	return 200, "";
end

function commands.check_account(args)
	return 200, usermanager.user_exists(args.user, host) and 0 or 1;
end

function commands.num_resources(args)
	local n = 0;
	for _ in pairs(sessions(args.user)) do n = n + 1; end
	return 200, { resources = n };
end

function commands.kick_user(args)
	local n = 0;
	for _, session in pairs(sessions(args.user)) do
		n = n + 1;
		session:close { condition = "policy-violation", text = "has been kicked" };
	end
	return 200, { num_resources = n };
end

-- Unlike ejabberd's, this tells nobody: presence flows from the next login on.
function commands.add_rosteritem(args)
	local contact = jid.join(args.user, args.host);
	local roster = rostermanager.load_roster(args.localuser, host);
	roster[contact] = { subscription = args.subs, name = args.nick, groups = {} };
	if not rostermanager.save_roster(args.localuser, host, roster, contact) then return 500; end
	return 200, 0;
end

-- Asks for the card over XMPP, so that it works with every module that serves cards.
function commands.get_vcard(args)
	local query = st.iq({ type = "get", id = "card", from = host, to = jid.join(args.user, host) })
		:tag("vCard", { xmlns = "vcard-temp" });
	return module:send_iq(query):next(function (reply)
		local card = reply.stanza:get_child("vCard", "vcard-temp");
		local field = card and card:get_child(args.name);
		if not field then return { status_code = 400 }; end
		return json.encode { content = field:get_text() or "" };
	end, function () return { status_code = 400 }; end);
end

module:depends "http";
module:provides("http", {
	default_path = "/api";
	route = {
		["POST /*"] = function (event, name)
			local command, args = commands[name], json.decode(event.request.body or "");
			if not command then return 404; end
			if type(args) ~= "table" then return 400; end
			local status, body = command(args);
			if body == nil then return status; end -- an error, or a promise
			return json.encode(body);
		end;
	};
});
