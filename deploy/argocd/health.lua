-- The health of a JobFlow for Argo CD: resource.customizations.health.workflow.kube-zen.io_JobFlow.
local status = obj.status or {}
local phase = status.phase
local generation = (obj.metadata or {}).generation

local message = "the operator has not looked at it yet"
for _, condition in ipairs(status.conditions or {}) do
  if condition.type == "Complete" or condition.type == "Failed" or condition.type == "Ready" then
    if condition.message ~= nil and condition.message ~= "" then
      message = condition.message
    end
    if condition.type ~= "Ready" and condition.status == "True" then
      break
    end
  end
end

if phase == nil then
  return {status = "Progressing", message = message}
end
-- What a flow has come to stays, whatever is edited afterwards.
if phase == "Succeeded" then
  return {status = "Healthy", message = message}
end
if phase == "Failed" then
  return {status = "Degraded", message = message}
end
if generation ~= nil and status.observedGeneration ~= nil and status.observedGeneration < generation then
  return {status = "Progressing", message = "the operator has not seen the latest change yet"}
end
if phase == "Paused" or phase == "Suspended" then
  return {status = "Suspended", message = message}
end
return {status = "Progressing", message = message}
